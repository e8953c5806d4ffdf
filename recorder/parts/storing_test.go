package parts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/document"
)

// part lets a recording have a part of a second, and ends it.
func (s *stage) part() {
	mic := microphone()
	mic.from = s.clock
	s.play(s.clock+time.Second, mic)
	s.Close(day.Add(s.clock))
	synctest.Wait()
}

var errAway = errors.New("the bucket is away")

func TestPartsAreStoredOnceTheyHaveNames(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.part()
		s.part()
		require.Empty(t, s.made.uploads)
		require.Empty(t, s.Parts()[1].Key)

		s.Name("a/b", 2)
		require.NoError(t, s.Wait(t.Context()))
		s.play(s.clock+40*ms, &fakeTrack{
			sid:    "TR_next",
			codec:  microphone().codec,
			synced: true,
			from:   s.clock,
			every:  20 * ms,
		})
		var stored []string
		for n, u := range s.made.uploads {
			stored = append(stored, u.asked)
			require.Equal(t, fmt.Sprintf("/scratch/part%d.ogg", n+1), u.path)
			require.Equal(t, "directory/"+u.asked, s.Parts()[n].Key)
		}
		require.Equal(t, []string{"a/b.e2.ogg", "a/b.e2.part2.ogg", "a/b.e2.part3.ogg"}, stored, "the last one grows")
		require.Equal(t, document.Completed, s.Parts()[1].State)
		require.Equal(t, document.Active, s.Parts()[2].State)
	})
}

func TestStoringIsTriedAgainForAsLongAsItTakes(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		for range 1000 { // some two hours
			s.faults.storing = append(s.faults.storing, errAway)
		}
		s.Name("a/b", 1)
		began := time.Now()
		s.part()

		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, s.Wait(short), context.DeadlineExceeded)
		require.NoError(t, s.Wait(t.Context()))

		require.Equal(t, 1001, s.made.uploads[0].tries)
		require.Greater(t, time.Since(began), time.Hour)
		require.Less(t, time.Since(began), 1000*10*time.Second*3/2)
		require.Equal(t, document.Completed, s.Parts()[0].State)
		require.EqualValues(t, 1000, s.Parts()[0].Size)
	})
}

func TestAPartThatIsNotStoredInTimeStaysAsItIs(t *testing.T) {
	for name, prepare := range map[string]func(*stage){
		"the bucket is away": func(s *stage) {
			for range 1000 {
				s.faults.storing = append(s.faults.storing, errAway)
			}
			s.Name("a/b", 1)
		},
		"it has no name": func(*stage) {},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, 1, func(t *testing.T, s *stage) {
				prepare(s)
				s.part()
				told := len(s.toldOf(0))
				time.AfterFunc(time.Minute, s.endContext)
				require.ErrorIs(t, s.Wait(t.Context()), context.Canceled)
				require.Equal(t, document.Active, s.Parts()[0].State)
				require.Len(t, s.toldOf(0), told)
			})
		})
	}
}

func TestAFileThatIsNotThereIsNotWaitedFor(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.faults.storing = []error{fmt.Errorf("open part1.ogg: %w", fs.ErrNotExist)}
		s.part()
		s.Name("a/b", 1)
		require.NoError(t, s.Wait(t.Context()))
		require.Equal(t, document.Failed, s.Parts()[0].State)
		require.Equal(t, "upload failed: open part1.ogg: file does not exist", s.Parts()[0].Reason)
	})
}

// Another recorder has taken this one for dead, and has made a file of what had been stored of the part.
func TestWhatAnotherRecorderHasMadeAFileOfIsStoredAsAnExtraPart(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.faults.storedAs = "a/b.extra.ogg"
		s.Name("a/b", 1)
		s.part()
		require.NoError(t, s.Wait(t.Context()))

		for _, part := range s.toldOf(0) {
			require.Equal(t, document.Active, part.State, "the other recorder says what has become of it")
		}
		require.Len(t, s.toldOf(1), 1)
		extra := s.toldOf(1)[0]
		require.Equal(t, []document.Part{extra}, s.Parts())
		require.Equal(t, "directory/a/b.extra.ogg", extra.Key)
		require.Equal(t, document.Completed, extra.State)
		require.EqualValues(t, 1000, extra.Size)
		require.InDelta(t, 1, extra.Duration, 0.001)
		require.Len(t, extra.Tracks, 1)

		s.Drain()
		require.Equal(t, document.Completed, s.Parts()[0].State)
		require.Len(t, s.toldOf(1), 1)
		require.Equal(t, document.Active, s.toldOf(0)[len(s.toldOf(0))-1].State)

		s.faults.storedAs = ""
		s.part()
		require.Equal(t, "directory/a/b.part2.ogg", s.Parts()[1].Key, "extra parts do not count in names")
	})
}

// Nothing behind its hole can be read before it is repaired.
func TestAnExtraPartWithAHoleIsRepaired(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.faults.storedAs, s.faults.torn = "a/b.extra.ogg", true
		s.faults.repair = []error{errAway}
		s.Name("a/b", 1)
		s.part()
		require.NoError(t, s.Wait(t.Context()))

		require.Equal(t, []string{"a/b.extra.ogg", "a/b.extra.ogg"}, s.made.repaired)
		require.Len(t, s.Parts(), 1)
		require.Equal(t, "directory/a/b.extra.ogg", s.Parts()[0].Key)
		require.EqualValues(t, 900, s.Parts()[0].Size)
		require.EqualValues(t, 42, s.Parts()[0].Duration)
	})
}

func TestOtherRecordersAreToldWhichPartsGoOnForAWhile(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.Name("a/b", 1)
		s.part()
		s.faults.storing = []error{errAway}
		s.part()
		mic := microphone()
		mic.from = s.clock
		s.play(s.clock+time.Second, mic)
		s.Drain()

		var states []document.State
		for _, part := range s.Parts() {
			states = append(states, part.State)
		}
		require.Equal(t, []document.State{document.Completed, document.Draining, document.Draining}, states)
		told := s.toldOf(2)
		require.Equal(t, document.Draining, told[len(told)-1].State)

		s.Close(day.Add(s.clock))
		s.part()
		require.Equal(t, document.Draining, s.toldOf(3)[0].State, "and those that begin later")
		for n, part := range s.finish() {
			require.Equal(t, document.Completed, part.State, n)
		}
	})
}

func TestAFileThatCouldNotBeFinishedIsRepaired(t *testing.T) {
	for name, faults := range map[string][]error{"at once": nil, "when that is possible": {errors.New("not now")}} {
		t.Run(name, func(t *testing.T) {
			onStage(t, 1, func(t *testing.T, s *stage) {
				s.faults.repair = faults
				s.Name("a/b", 1)
				s.play(time.Second, microphone())
				s.made.files[0].unclosed = errors.New("killed")
				part := s.finish()[0]

				require.Len(t, s.made.repaired, len(faults)+1)
				require.Equal(t, "a/b.ogg", s.made.repaired[0])
				require.Equal(t, document.Completed, part.State)
				require.Equal(t, "killed", part.Reason)
				require.EqualValues(t, 900, part.Size)
				require.EqualValues(t, 42, part.Duration)
			})
		})
	}
}

// Whoever takes the recording over finds the file in the bucket, and repairs it, unless it is said to be complete.
func TestAFileWhoseRepairIsCutOffIsNotComplete(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		for range 1000 {
			s.faults.repair = append(s.faults.repair, errors.New("not now"))
		}
		s.Name("a/b", 1)
		s.play(time.Second, microphone())
		s.made.files[0].unclosed = errors.New("killed")
		time.AfterFunc(time.Minute, s.endContext)
		s.Close(day.Add(s.clock))

		require.ErrorIs(t, s.Wait(t.Context()), context.Canceled)
		require.Equal(t, document.Active, s.Parts()[0].State)
		require.Greater(t, len(s.made.repaired), 1)
	})
}
