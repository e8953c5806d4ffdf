package track

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// elsewhere has other recordings hold so much, until the test ends.
func elsewhere(t *testing.T, bytes int) {
	t.Helper()
	others := NewShare()
	others.Set(bytes)
	t.Cleanup(func() { others.Set(0) })
}

// Each may have some, and not all of them may have what one may have.
func TestWhatWaitsIsLetGoWhenAllRecordingsHoldTooMuch(t *testing.T) {
	f := feedOf(t, "video/vp8")
	frame := func() []byte { return vp8(0, 0, 1, true)[0].Payload }
	f.send(0, true, frame())
	f.sequence++ // is missing
	for n := range 4 {
		f.send(uint32(3000*(n+1)), true, append(frame(), make([]byte, FairShare/2)...))
	}
	require.Len(t, f.frames, 1, "the others wait for what is missing")
	require.Greater(t, f.packets.sequencer.cost, FairShare)

	elsewhere(t, maxOfAll)
	f.send(15000, true, frame())
	f.drain(f.now)
	require.LessOrEqual(t, f.packets.sequencer.cost, FairShare)
	require.Len(t, f.frames, 6, "and nothing of it is lost")

	for range FairShare/1000 + 2 {
		f.send(18000, false, make([]byte, 1000))
	}
	require.LessOrEqual(t, f.packets.assembler.open.cost, FairShare, "of a frame that is put together, either")
	require.NotEmpty(t, f.warnings)
}

func TestWhoHoldsLittleKeepsIt(t *testing.T) {
	elsewhere(t, 2*maxOfAll)
	f := feedOf(t, "audio/opus")
	f.send(0, true, []byte{31 << 3, 1, 2})
	f.sequence++
	f.send(960, true, []byte{31 << 3, 1, 2})
	require.Len(t, f.frames, 1, "what is missing is waited for")
}

func TestAShareThatNobodyHoldsAnyMoreIsFree(t *testing.T) {
	before := ofAll.Load()
	func() { NewShare().Set(1 << 30) }()
	require.Eventually(t, func() bool {
		runtime.GC()
		return ofAll.Load() <= before
	}, 10*time.Second, time.Millisecond)
}
