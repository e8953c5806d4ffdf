package parts

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/shared/document"
)

// A panic in the storing of one part leaves its file on the disk, and its state as it is: whoever finds the file says
// what became of it. Other parts are stored, and the owner is told.
func TestAPanicInTheStoringOfAPartLeavesItOnTheDisk(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.Name("a/b", 1)
		s.part()
		require.NoError(t, s.Wait(t.Context()))
		require.False(t, s.Broken())

		s.faults.panics = true
		s.part()
		require.ErrorIs(t, s.Wait(t.Context()), guard.ErrPanic)
		require.True(t, s.Broken())
		require.Equal(t, document.Active, s.Parts()[1].State)
		require.Equal(t, 1, s.made.uploads[1].left)
		require.Equal(t, 1, s.made.uploads[1].tries, "trying again does not help")

		s.faults.panics = false
		s.part()
		require.ErrorIs(t, s.Wait(t.Context()), guard.ErrPanic)
		require.Equal(t, document.Completed, s.Parts()[2].State)
	})
}

// The fault is in what stores the file while it grows.
func TestAPartWhoseStoringHasEndedWhileItGrowsIsTold(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.Name("a/b", 1)
		s.faults.storing = []error{fmt.Errorf("upload: %w", guard.ErrPanic)}
		s.play(6_000*ms, microphone())
		require.False(t, s.Broken())
		s.made.uploads[0].broken = true
		require.True(t, s.Broken())
		s.Close(day.Add(s.clock))
		require.ErrorIs(t, s.Wait(t.Context()), guard.ErrPanic)
		require.True(t, s.Broken())
		require.Equal(t, document.Active, s.Parts()[0].State)
	})
}

// What goes on in the background for a part's file ends when nobody waits for it any more: it would be in the way of
// whoever stores the file from the disk.
func TestTheUploadOfAPartThatIsNotStoredEnds(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.Name("a/b", 1)
		s.play(6_000*ms, microphone())
		s.endContext()
		s.Close(day.Add(s.clock))
		require.ErrorIs(t, s.Wait(t.Context()), context.Canceled)
		require.Zero(t, s.made.uploads[0].tries)
		require.Equal(t, 1, s.made.uploads[0].left)
	})
}

func TestNoUploadBeginsForAPartThatHasBeenLeft(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.part()
		s.endContext()
		synctest.Wait()
		s.Name("a/b", 1)
		require.Empty(t, s.made.uploads)
		require.ErrorIs(t, s.Wait(t.Context()), context.Canceled)
	})
}
