package parts

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/track"
)

// Somebody who was muted for three hours says something: the silence before it is 540,000 frames.
func TestALongSilenceIsWrittenLittleByLittle(t *testing.T) {
	for name, after := range map[string]time.Duration{
		"goes on":                           10 * time.Second,
		"ends before the silence is filled": 200 * ms,
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, 1, func(t *testing.T, s *stage) {
				const muted = 3 * time.Hour
				mic := microphone()
				s.play(10*time.Second, mic)
				began := s.clock
				for ; s.clock < began+muted; s.clock += time.Second {
					s.Advance(day.Add(s.clock))
				}

				file, most := s.made.files[0], 0
				for until := s.clock + after; s.clock < until; {
					before := len(file.frames)
					s.play(s.clock+10*ms, mic)
					most = max(most, len(file.frames)-before)
				}
				s.finish()

				require.Less(t, most, 4*int(silenceAtOnce/silenceFrame), "at once")
				require.Len(t, s.made.files, 1)
				s.requireAll(mic)
				frames, uneven := file.of(track.Audio), 0
				for n, frame := range frames[1:] {
					if frame.at-frames[n].at != silenceFrame {
						uneven++
					}
				}
				require.Zero(t, uneven)
			})
		})
	}
}
