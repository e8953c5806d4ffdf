package e2e

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
)

// Recordings of several people can be put side by side to the frame, by their documents alone: also if somebody came
// later, and somebody else's clock is wrong.
func TestRecordingsOfSeveralPeopleAreAligned(t *testing.T) {
	t.Parallel()
	const room = "auto-aligned"

	epoch := time.Now()
	var documents []string
	var people []*participant.Participant
	for name, o := range map[string]participant.Options{
		"alice": {Epoch: epoch}, "bob": {Epoch: epoch, ClockOffset: -3 * time.Minute},
	} {
		p := join(t, system, room, name, o)
		people = append(people, p)
		publish(t, p, "vp8")
		pause(t, p, 2*time.Second)
	}

	pause(t, people[1], length)
	for _, p := range people {
		p.Leave()
	}
	for _, name := range []string{"alice", "bob"} {
		r := ended(t, system, room, name)
		directory := filepath.Dir(system.Path(r.Parts[0].Key))
		documents = append(documents, filepath.Join(directory, filepath.Base(r.File)+".json"))
	}

	output := filepath.Join(t.TempDir(), "it's both.mp4")
	script, err := exec.CommandContext(t.Context(), filepath.Join(system.Binaries, "recorder"),
		append([]string{"compose", "-o", output}, documents...)...).Output()
	require.NoError(t, err)

	sh := exec.CommandContext(t.Context(), "sh")
	sh.Stdin = bytes.NewReader(script)
	said, err := sh.CombinedOutput()
	require.NoError(t, err, "%s", said)

	left, err := analyse.FlashesIn(t.Context(), output, "crop=640:360:0:0")
	require.NoError(t, err)
	right, err := analyse.FlashesIn(t.Context(), output, "crop=640:360:640:0")
	require.NoError(t, err)
	beeps, err := analyse.Beeps(t.Context(), output)
	require.NoError(t, err)
	for _, other := range [][]time.Duration{right, beeps} {
		offset, _, err := analyse.Offset(left, other)
		require.NoError(t, err)
		require.InDelta(t, 0, offset.Seconds(), 0.05, "a frame, and what sound encoders add")
	}
}
