package recovery

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/upload"
	"livekit-recorder/shared/document"
)

// theirs is a part of a recorder that is gone, of which that much is in the bucket.
func (s *site) theirs(body string) (document.Recording, document.Part) {
	part := document.Part{Key: "media/a/name.webm", Container: "webm", State: document.Active, Duration: 1, Size: 1}
	if body != "" {
		s.bucket.begun[part.Key] = body
	}
	return document.Recording{ID: "R", File: "a/name", Parts: []document.Part{part}}, part
}

func TestARecoveredPartIsAsLongAndAsLargeAsTheRepairedFile(t *testing.T) {
	s := newSite(t)
	r, part := s.theirs("media")
	part, err := s.Part(t.Context(), r, part)
	require.NoError(t, err)
	require.Equal(t, "media+index", s.bucket.objects["media/a/name.webm"])
	require.Equal(t, document.Part{
		Key:       "media/a/name.webm",
		Container: "webm",
		State:     document.Completed,
		Reason:    reasonVanished,
		Recovered: true,
		Duration:  3,
		Size:      int64(len("media+index")),
	}, part)

	left, err := os.ReadDir(s.Work)
	require.NoError(t, err)
	require.Empty(t, left, "copies take no space any more")
}

func TestAPartOfWhichNothingIsThereHasFailed(t *testing.T) {
	s := newSite(t)
	r, part := s.theirs("")
	part, err := s.Part(t.Context(), r, part)
	require.NoError(t, err)
	require.Equal(t, document.Failed, part.State)
	require.Contains(t, part.Reason, reasonVanished)
}

func TestAPartIsNotGivenUpWhileTheBucketIsAway(t *testing.T) {
	s := newSite(t)
	r, part := s.theirs("media")
	s.bucket.set(true)
	same, err := s.Part(t.Context(), r, part)
	require.ErrorIs(t, err, errAway)
	require.Equal(t, part, same)
}

// A file that cannot be repaired is worth more than none.
// Of the middle of a file only another recorder's file has everything.
func TestWhatIsMissingInATornFileIsSaidToBeInTheOtherOne(t *testing.T) {
	for name, before := range map[string]string{"killed": "killed; ", "": ""} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			part := document.Part{Key: "media/a/name.rest2.webm", Container: "webm", Reason: name}
			s.bucket.objects[part.Key] = "media with a hole"
			require.NoError(t, s.Index(t.Context(), &part, "a/name.rest2.webm"))
			require.Equal(t, before+"a part of its middle is only in media/a/name.webm", part.Reason)
			require.Equal(t, repairedLength.Seconds(), part.Duration)
			require.Equal(t, "media with a hole+index", s.bucket.objects[part.Key])
		})
	}
}

func TestAFileThatCannotBeRepairedStaysAsItIs(t *testing.T) {
	s := newSite(t)
	s.Repair = func(context.Context, io.Reader, string, string) (mux.Repaired, error) {
		return mux.Repaired{}, errors.New("no header")
	}
	r, part := s.theirs("media")
	part, err := s.Part(t.Context(), r, part)
	require.NoError(t, err)
	require.Equal(t, document.Completed, part.State)
	require.EqualValues(t, len("media"), part.Size)
	require.EqualValues(t, 1, part.Duration, "as far as its recorder had said")
	require.Equal(t, "media", s.bucket.objects[part.Key])
}

func TestAnEmptyCopyDoesNotCount(t *testing.T) {
	s := newSite(t)
	s.Repair = func(_ context.Context, _ io.Reader, repaired, _ string) (mux.Repaired, error) {
		return mux.Repaired{}, os.WriteFile(repaired, nil, 0o600)
	}
	r, part := s.theirs("media")
	part, err := s.Part(t.Context(), r, part)
	require.NoError(t, err)
	require.EqualValues(t, len("media"), part.Size)
	require.EqualValues(t, 1, part.Duration)
	require.Equal(t, "media", s.bucket.objects[part.Key])
}

func TestAFileThatAnotherRecorderHasRepairedMeanwhileGetsItsTrueSize(t *testing.T) {
	s := newSite(t)
	r, part := s.theirs("media")
	s.bucket.before = func(call string) {
		if call == "replace" {
			s.bucket.objects[part.Key], s.bucket.repaired = "media+another index", "media"
		}
	}
	part, err := s.Part(t.Context(), r, part)
	require.NoError(t, err)
	require.EqualValues(t, len("media+another index"), part.Size)
	require.EqualValues(t, 3, part.Duration, "it has the same frames")
	require.Equal(t, "media+another index", s.bucket.objects[part.Key])
}

// Its owner has come back with the whole, or another recorder has found more of it, or was first with something: while
// it is read, or when its repair is done. What is there then has no index yet.
func TestAFileThatHasBecomeAnotherOneIsRepairedOnceMore(t *testing.T) {
	for _, when := range []string{"read", "replace"} {
		t.Run(when, func(t *testing.T) {
			s := newSite(t)
			r, part := s.theirs("media")
			s.bucket.before = func(call string) {
				if call == when {
					s.bucket.objects[part.Key] = "more media"
					s.bucket.before = func(string) {}
				}
			}
			part, err := s.Part(t.Context(), r, part)
			require.NoError(t, err)
			require.Equal(t, "more media+index", s.bucket.objects[part.Key])
			require.EqualValues(t, len("more media+index"), part.Size)
			if when == "read" {
				require.Equal(t, 1, s.bucket.given, "the repair of what is no longer there")
			}
		})
	}
}

func TestAFileIsRepairedAsSoonAsTheBucketIsBack(t *testing.T) {
	for _, call := range []string{"begin", "read", "advance", "replace"} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t)
			r, part := s.theirs("media")
			s.bucket.before = func(now string) {
				if now == call {
					s.bucket.before = func(string) {}
					s.bucket.set(true)
					time.AfterFunc(time.Minute, func() { s.bucket.set(false) })
				}
			}
			part, err := s.Part(t.Context(), r, part)
			require.NoError(t, err)
			require.EqualValues(t, len("media+index"), part.Size)
		})
	}
}

// The disk is full because files cannot be stored for the moment.
func TestAFileIsRepairedAsSoonAsThereIsSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		r, part := s.theirs("media")
		s.disk.set(partSize)
		time.AfterFunc(time.Minute, func() { s.disk.set(1 << 20) })
		began := time.Now()
		part, err := s.Part(t.Context(), r, part)
		require.NoError(t, err)
		require.EqualValues(t, len("media+index"), part.Size)
		require.GreaterOrEqual(t, time.Since(began), time.Minute)
	})
}

// Two copies of large files at once could fill the disk, and the processors belong to what is being recorded.
func TestOnlyOnePartIsFinishedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		var at, most atomic.Int32
		s.Repair = func(context.Context, io.Reader, string, string) (mux.Repaired, error) {
			most.Store(max(most.Load(), at.Add(1)))
			time.Sleep(time.Minute)
			at.Add(-1)
			return mux.Repaired{}, errors.New("whatever")
		}
		r, part := s.theirs("media")
		for range 3 {
			go func() { _, _ = s.Part(t.Context(), r, part) }()
		}
		synctest.Wait()

		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		same, err := s.Part(hasty, r, part)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, part, same)
		require.ErrorIs(t, s.Index(hasty, &part, "a/name.webm"), context.DeadlineExceeded)
		pass(3 * time.Minute)
		require.EqualValues(t, 1, most.Load())
		require.Zero(t, at.Load())
	})
}

// Without a bucket there is nothing to repair.
func TestWhatIsNotInABucketGetsNoIndex(t *testing.T) {
	s := newSite(t)
	_, part := s.theirs("")
	before := part
	require.NoError(t, s.Index(t.Context(), &part, "a/name.webm"))
	require.Equal(t, before, part)
}

// What a recorder has begun when it has to end is somebody else's to do, from the beginning.
func TestARepairThatIsCutOffIsNotTheEndOfIt(t *testing.T) {
	s := newSite(t)
	r, part := s.theirs("media")
	ending, end := context.WithCancel(t.Context())
	s.bucket.before = func(call string) {
		if call == "advance" {
			end()
			s.bucket.set(true)
		}
	}
	same, err := s.Part(ending, r, part)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, part, same, "or nobody would try again")
	require.Equal(t, "media", s.bucket.objects[part.Key])
	left, err := os.ReadDir(s.Work)
	require.NoError(t, err)
	require.Empty(t, left)

	s.bucket.before = func(string) {}
	s.bucket.set(false)
	part, err = s.Part(t.Context(), r, same)
	require.NoError(t, err)
	require.Equal(t, "media+index", s.bucket.objects[part.Key])
}

// The bucket is away for longer than one file is waited for: others get their turn, and the file is tried again.
func TestARepairIsNotGivenUpBecauseTheBucketIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		r, part := s.theirs("media")
		s.bucket.before = func(call string) {
			if call == "read" {
				s.bucket.set(true)
			}
		}
		same, err := s.Part(t.Context(), r, part)
		require.ErrorIs(t, err, errStuck)
		require.Equal(t, part, same)

		s.disk.set(0)
		s.bucket.before = func(string) {}
		s.bucket.set(false)
		same, err = s.Part(t.Context(), r, part)
		require.ErrorIs(t, err, errStuck, "there is no space")
		require.Equal(t, part, same)
	})
}

// The disk may fill up at any moment of a repair: that says nothing about the file.
func TestARepairThatFailsForWantOfSpaceIsTriedAgain(t *testing.T) {
	s := newSite(t)
	r, part := s.theirs("media")
	s.Repair = func(context.Context, io.Reader, string, string) (mux.Repaired, error) {
		s.disk.set(0)
		return mux.Repaired{}, errors.New("no space left on device")
	}
	same, err := s.Part(t.Context(), r, part)
	require.ErrorIs(t, err, errStuck)
	require.Equal(t, part, same)

	s.disk.set(1 << 20)
	s.Repair = repair
	part, err = s.Part(t.Context(), r, part)
	require.NoError(t, err)
	require.EqualValues(t, len("media+index"), part.Size)
}

func TestARepairWhoseUploadIsThrownAwayBeginsAnew(t *testing.T) {
	s := newSite(t)
	r, part := s.theirs("media")
	s.bucket.gone = upload.ErrGone
	s.bucket.before = func(call string) {
		if call == "close" {
			s.bucket.gone = nil
		}
	}
	part, err := s.Part(t.Context(), r, part)
	require.NoError(t, err)
	require.Equal(t, "media+index", s.bucket.objects[part.Key])
	require.EqualValues(t, 3, part.Duration)
}

// For ever is too long: the file is there.
func TestARepairThatIsAlwaysThrownAwayEnds(t *testing.T) {
	s := newSite(t)
	r, part := s.theirs("media")
	s.bucket.gone = upload.ErrGone
	part, err := s.Part(t.Context(), r, part)
	require.NoError(t, err)
	require.Equal(t, document.Completed, part.State)
	require.EqualValues(t, len("media"), part.Size)
	require.Equal(t, repairTries, s.bucket.given)
	require.Equal(t, []string{"a/name.webm"}, s.bucket.tidied, "nothing of it is left")
}

// A recorder that vanishes may not have come to writing down that it had begun a part.
func TestPartsThatNoDocumentSpeaksOfAreFound(t *testing.T) {
	s := newSite(t)
	r, known := s.theirs("media")
	s.bucket.begun["media/a/name.e2.part2.mp4"] = "more media"
	s.bucket.begun["media/a/name of another.webm"] = "another's"
	s.bucket.objects["media/a/name.e2.part3.ogg"] = "stored, and nobody heard of it"
	s.bucket.objects["media/a/name.e2.webm"] = "stored, and listed"
	r.Parts = append(r.Parts, document.Part{Key: "media/a/name.e2.webm", State: document.Completed,
		Size: int64(len("stored, and listed"))})
	found, err := s.Unlisted(t.Context(), r)
	require.NoError(t, err)
	require.ElementsMatch(t, []document.Part{known, {
		Key:       "media/a/name.e2.part2.mp4",
		Container: "mp4",
		State:     document.Active,
		Tracks:    []document.TrackReport{},
	}, {
		Key:       "media/a/name.e2.part3.ogg",
		Container: "ogg",
		State:     document.Active,
		Tracks:    []document.TrackReport{},
	}}, found)

	s.bucket.set(true)
	_, err = s.Unlisted(t.Context(), r)
	require.ErrorIs(t, err, errAway)
}
