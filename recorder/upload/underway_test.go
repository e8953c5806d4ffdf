package upload

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/metrics"
)

// age has everything of a file be an hour old that is in no object.
func age(s *S3, name string) {
	s.keeper().change(s.keeper().files[name], func(p *filed) { p.safe = time.Now().Add(-time.Hour) })
}

// old says whether something is in no object that is as old.
func old(s *S3) bool { return s.Underway().Lag > 30*time.Minute }

func TestLagIsOfWhatIsInNoObject(t *testing.T) {
	s, requests, _ := bucket(t)
	s.PartSize = 1000
	file := newFile(t)
	require.Equal(t, Underway{}, s.Underway())
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	age(s, testName)
	require.False(t, old(s), "of an empty file there is nothing to be lost")
	require.Zero(t, s.Underway().Files)

	failures := metrics.JournalFailures.Load()
	file.grow(t, 500)
	requests.instead = func(r *http.Request) *http.Response {
		if isEntry(r) {
			return answer(r, http.StatusServiceUnavailable)
		}
		return nil
	}
	require.Error(t, s.keeper().write(t.Context()))
	require.True(t, old(s))
	require.Equal(t, 1, s.Underway().Files)
	require.EqualValues(t, 500, s.Underway().Pending)
	require.Zero(t, s.Underway().Journal)
	require.Equal(t, failures+1, metrics.JournalFailures.Load())

	requests.instead = nil
	require.NoError(t, s.keeper().write(t.Context()))
	require.False(t, old(s), "it is in the journal")
	require.Positive(t, s.Underway().Journal)
	require.EqualValues(t, 500, s.Underway().Pending, "and in no part")

	// What has piled up is for parts to take: the journal has only what is behind them.
	age(s, testName)
	file.grow(t, 2000)
	require.NoError(t, s.keeper().write(t.Context()))
	require.True(t, old(s))
	require.NoError(t, u.do(t.Context(), u.grow))
	require.NoError(t, s.keeper().write(t.Context()))
	require.False(t, old(s))
	require.EqualValues(t, 500, s.Underway().Pending)

	// A muted publisher's file does not grow.
	age(s, testName)
	require.NoError(t, s.keeper().write(t.Context()))
	require.False(t, old(s))
}

// A file that does not grow any more may have grown since the journal last looked at it.
func TestLagLastsUntilTheFileIsStored(t *testing.T) {
	s, _, _ := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	vanish(u)
	file.grow(t, 1000)
	require.NoError(t, s.keeper().write(t.Context()))
	require.False(t, old(s))
	file.grow(t, 1000)
	s.keeper().rest(testName)
	age(s, testName)
	require.NoError(t, s.keeper().write(t.Context()))
	require.True(t, old(s))

	bytes, parts := metrics.UploadBytes.Load(), metrics.UploadParts.Load()
	_, _, err := u.Finish(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2000, metrics.UploadBytes.Load()-bytes)
	require.EqualValues(t, 1, metrics.UploadParts.Load()-parts)
	require.Equal(t, Underway{}, s.Underway())
}

func TestTheJournalsAgeIsThatOfItsNewestEntry(t *testing.T) {
	s, _, _ := bucket(t)
	file := newFile(t)
	u := s.Begin(file.Name(), testName, "webm")
	require.Less(t, s.Underway().JournalAge, time.Minute)
	s.keeper().newest.Store(time.Now().Add(-time.Hour).UnixNano())
	require.Greater(t, s.Underway().JournalAge, 30*time.Minute)
	file.grow(t, 10)
	require.NoError(t, s.keeper().write(t.Context()))
	require.Less(t, s.Underway().JournalAge, 30*time.Minute)
	vanish(u)
	require.Zero(t, s.Underway().JournalAge, "nothing grows")
}
