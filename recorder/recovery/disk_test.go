package recovery

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

func TestWhatAKilledRecorderHasLeftIsStoredUnderItsName(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		r := s.claimed(t, c, "one", "two", "dead")
		known := document.Part{
			Key:       "media/a/name.e3.part2.webm",
			Container: "webm",
			State:     document.Active,
			StartedAt: &c.RequestedAt,
			Tracks:    []document.TrackReport{{SID: "TR_1"}},
		}
		r.Parts = []document.Part{known}
		require.NoError(t, s.Documents.Save(t.Context(), r))
		d := s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 3}, "part2.webm")

		pass(10 * settleTime)
		require.Equal(t, map[string]string{known.Key: "media+index"}, s.bucket.stored())
		require.NoDirExists(t, filepath.Dir(d.Path))
		now := s.document(t, c)
		require.Equal(t, document.Requested, now.State, "its owner says how it ends")
		known.State, known.Reason, known.Recovered = document.Completed, reasonKilled, true
		known.Duration, known.Size = 3, int64(len("media+index"))
		require.Equal(t, []document.Part{known}, now.Parts)
		require.Empty(t, s.told)
	})
}

func TestWhatWasBegunWithoutTheBucketGetsANumberAndAName(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		written := time.Now()
		d := s.leave(t, scratch.Note{Start: c}, "part1.webm")

		pass(10 * settleTime)
		require.NoDirExists(t, d.Path)
		require.Equal(t, "media+index", s.bucket.stored()["media/a/name.webm"])
		now := s.document(t, c)
		require.Equal(t, "a/name", now.File)
		require.Equal(t, 1, now.Epoch)
		require.Len(t, now.Parts, 1)
		require.Equal(t, document.Completed, now.Parts[0].State)
		require.WithinDuration(t, written.Add(-repairedLength), *now.Parts[0].StartedAt, time.Millisecond)
		require.False(t, now.Final(), "it may be wanted still")
		require.Equal(t, []command.Command{c}, s.sent, "for nobody else has it, or its message")
		look, err := s.Ledger.Look(t.Context(), ledger.Bid{Start: c})
		require.NoError(t, err)
		require.Equal(t, ledger.Record, look.Verdict)
		require.Equal(t, now.Parts[0].StartedAt.UTC(), look.Began.UTC())
	})
}

// The recording belongs to a recorder that lives: it neither loses it, nor its document.
func TestWhatWasBegunBesideItsOwnerIsKeptBesideItsParts(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		r := s.claimed(t, c, "owner")
		r.State = document.Active
		require.NoError(t, s.Documents.Save(t.Context(), r))
		s.leave(t, scratch.Note{Start: c}, "part1.webm")

		pass(10 * settleTime)
		require.Contains(t, s.bucket.stored(), "media/a/name.e2.webm")
		now := s.document(t, c)
		require.Equal(t, "owner", now.Recorder)
		require.Equal(t, 1, now.Epoch)
		require.Equal(t, document.Active, now.State)
		require.Len(t, now.Parts, 1)
		standing, err := s.Ledger.Standing(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, ledger.Wanted, standing.Holding)
		require.Empty(t, s.sent)
	})
}

func TestARecordingThatWasOverIsSentToBeClosedAgain(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		r := s.claimed(t, c, "owner")
		_, err := s.Documents.Conclude(t.Context(), r, "left")
		require.NoError(t, err)
		_, err = s.Ledger.Close(t.Context(), r, nil)
		require.NoError(t, err)
		require.Equal(t, document.Failed, s.document(t, c).State)
		s.leave(t, scratch.Note{Start: c}, "part1.webm")

		pass(10 * settleTime)
		now := s.document(t, c)
		require.Equal(t, document.Completed, now.State)
		require.Len(t, now.Parts, 1)
		require.NotEmpty(t, s.told)
		require.Equal(t, document.Completed, s.told[len(s.told)-1].State)
		require.Equal(t, []command.Command{c}, s.sent)
		again, err := s.Ledger.Look(t.Context(), ledger.Bid{Start: c})
		require.NoError(t, err)
		require.Equal(t, ledger.Close, again.Verdict)
	})
}

// It was nobody's when it got its number, and has been taken over since.
func TestWhatAnotherRecorderHasTakenOverIsNotSentAgain(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		s.claimed(t, c, "dead", "owner")
		d := s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 1, Orphan: true}, "part1.webm")
		pass(10 * settleTime)
		require.NoDirExists(t, d.Path)
		require.Len(t, s.document(t, c).Parts, 1)
		require.Empty(t, s.sent)
	})
}

func TestReceiversAreToldOfALatePart(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		r := s.claimed(t, c, "dead")
		_, err := s.Documents.Conclude(t.Context(), r, "left")
		require.NoError(t, err)
		s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 1}, "part1.webm", "part2.webm")

		pass(10 * settleTime)
		require.Len(t, s.told, 1)
		require.Len(t, s.told[0].Parts, 2)
		require.Equal(t, document.Completed, s.told[0].State)
	})
}

// The file is stored, and the recorder that has found it is killed, or what comes next cannot be reached.
func TestWhatIsLeftToDoBehindTheStoringOfAFileIsDoneLater(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		r := s.claimed(t, c, "dead")
		_, err := s.Documents.Conclude(t.Context(), r, "left")
		require.NoError(t, err)
		s.unsent = true
		d := s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 1}, "part1.webm")
		pass(10 * settleTime)
		require.NoFileExists(t, d.File("part1.webm"))
		require.DirExists(t, d.Path, "it is not forgotten that somebody has to be told")
		s.unsent = false
		pass(diskInterval)
		require.Len(t, s.told, 1)
		require.NoDirExists(t, d.Path)

		s.bucket.objects["media/a/name.part2.webm"] = "stored, and nobody heard of it"
		s.bucket.objects["media/a/name.e2.webm"] = "another recorder's, which is about to speak of it"
		d = s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 1})
		pass(2 * diskInterval)
		require.Len(t, s.document(t, c).Parts, 2)
		require.Len(t, s.told, 2)
		require.NoDirExists(t, d.Path)
	})
}

// The document has what another recorder had made of the beginning. The whole came in its place, and whoever had stored
// it was killed before it could give it an index, or say so.
func TestAFileThatIsNotTheOneThatItsDocumentSpeaksOfIsLookedAtAgain(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		r := s.claimed(t, c, "dead")
		part := document.Part{
			Key:       "media/a/name.webm",
			Container: "webm",
			State:     document.Completed,
			Size:      3,
			Duration:  1,
			Tracks:    []document.TrackReport{},
		}
		r, err := s.Documents.Amend(t.Context(), r, []document.Part{part})
		require.NoError(t, err)
		_, err = s.Documents.Conclude(t.Context(), r, "left")
		require.NoError(t, err)
		s.bucket.objects[part.Key] = "media"
		d := s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 1})
		pass(2 * settleTime)

		require.NoDirExists(t, d.Path)
		require.Equal(t, "media+index", s.bucket.stored()[part.Key])
		now := s.document(t, c)
		require.Len(t, now.Parts, 1)
		require.EqualValues(t, len("media+index"), now.Parts[0].Size)
		require.InDelta(t, repairedLength.Seconds(), now.Parts[0].Duration, 0.001)
		require.Len(t, s.told, 1)
	})
}

func TestWhileTheBucketIsAwayEverythingStaysOnTheDisk(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		s.claimed(t, c, "dead")
		s.bucket.set(true)
		d := s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 1}, "part1.webm")
		pass(10 * diskInterval)
		require.FileExists(t, d.File("part1.webm"))
		require.Empty(t, s.bucket.stored())
		_, err := d.Note()
		require.NoError(t, err, "what it is, too")

		s.bucket.set(false)
		pass(diskInterval)
		require.NoDirExists(t, d.Path)
		require.Equal(t, map[string]string{"media/a/name.webm": "media+index"}, s.bucket.stored())
	})
}

// Another recorder had made a file of what was in the bucket.
func TestAPartWhoseNameIsTakenIsListedUnderTheOneThatItGot(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		s.claimed(t, c, "dead")
		s.bucket.taken = true
		s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 1}, "part1.webm")
		pass(10 * settleTime)
		require.Equal(t, map[string]string{"media/a/rest-name.webm": "media+index"}, s.bucket.stored())
		require.Equal(t, "media/a/rest-name.webm", s.document(t, c).Parts[0].Key)
	})
}

// ffmpeg outlives its recorder by a moment.
func TestAFileThatGrowsIsWaitedFor(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		s.claimed(t, c, "dead")
		d := s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 1}, "part1.webm")
		for range 20 {
			write(t, d.File("part1.webm"), "longer media")
			pass(settleTime / 2)
		}
		require.Empty(t, s.bucket.stored())
		pass(2 * settleTime)
		require.Equal(t, "longer media+index", s.bucket.stored()["media/a/name.webm"])
	})
}

func TestWhatNobodyKnowsIsNotThrownAway(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		c := start()
		d := s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 1}, "part1.webm") // and no document
		pass(2 * diskInterval)
		require.FileExists(t, d.File("part1.webm"))
		require.NoError(t, os.Remove(d.File("note.json")))
		pass(2 * diskInterval)
		require.FileExists(t, d.File("part1.webm"))
		require.Empty(t, s.bucket.stored())
	})
}

func TestAnAttemptThatHasNoFilesLeavesNothing(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		d := s.leave(t, scratch.Note{Start: start()})
		pass(2 * settleTime)
		require.NoDirExists(t, filepath.Dir(d.Path))
	})
}

// A file that has no index can be played; it must not be stored again and again.
func TestAFileOfTheDiskThatCannotBeRepairedIsStoredAsItIs(t *testing.T) {
	running(t, func(t *testing.T, s *site) {
		s.Repair = func(context.Context, io.Reader, string, string) (mux.Repaired, error) {
			return mux.Repaired{}, errors.New("no header")
		}
		c := start()
		s.claimed(t, c, "dead")
		d := s.leave(t, scratch.Note{Start: c, File: "a/name", Epoch: 1}, "part1.webm")
		pass(10 * settleTime)
		require.NoDirExists(t, d.Path)
		require.Equal(t, map[string]string{"media/a/name.webm": "media"}, s.bucket.stored())
		require.EqualValues(t, len("media"), s.document(t, c).Parts[0].Size)
	})
}
