package participant

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// reportInterval is the time between two sender reports of a track.
const reportInterval = time.Second

// reporters make a reporter for each connection of a participant.
type reporters struct{ participant *Participant }

func (r *reporters) NewInterceptor(string) (interceptor.Interceptor, error) {
	reporter := &reporter{participant: r.participant}
	reporter.ctx, reporter.cancel = context.WithCancel(context.Background())
	return reporter, nil
}

// reporter sends sender reports (RFC 3550 section 6.4.1) that are exact: they say what the clock of the camera or the
// microphone shows, not when packets happened to leave. And it counts the packets that leave: it is the outermost of
// the interceptors, so what it writes is what was sent, and no retransmission.
type reporter struct {
	interceptor.NoOp
	participant *Participant
	ctx         context.Context
	cancel      context.CancelFunc
	wg          sync.WaitGroup

	mu      sync.Mutex
	streams map[uint32]*counts
}

type counts struct{ packets, bytes atomic.Uint32 }

func (r *reporter) BindLocalStream(info *interceptor.StreamInfo, writer interceptor.RTPWriter) interceptor.RTPWriter {
	c := &counts{}
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.streams == nil {
		r.streams = map[uint32]*counts{}
	}
	r.streams[info.SSRC] = c

	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		n, err := writer.Write(h, payload, a)
		if err != nil || n == 0 { // 0 without an error: the connection does not stand yet, or no longer
			return n, err
		}

		c.packets.Add(1)
		c.bytes.Add(uint32(len(payload)))
		if t := r.participant.track(h.SSRC); t != nil {
			t.written.Add(1)
		}
		return n, nil
	})
}

func (r *reporter) UnbindLocalStream(info *interceptor.StreamInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.streams, info.SSRC)
}

func (r *reporter) BindRTCPWriter(writer interceptor.RTCPWriter) interceptor.RTCPWriter {
	r.wg.Go(func() {
		ticker := time.NewTicker(reportInterval)
		defer ticker.Stop()
		for {
			select {
			case <-r.ctx.Done():
				return
			case <-ticker.C:
			}
			if reports := r.reports(); len(reports) > 0 {
				_, _ = writer.Write(reports, nil) // reports can be lost
			}
		}
	})

	return writer
}

func (r *reporter) Close() error {
	r.cancel()
	r.wg.Wait()
	return nil
}

func (r *reporter) reports() (reports []rtcp.Packet) {
	r.participant.mu.Lock()
	defer r.participant.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()

	for _, t := range r.participant.tracks {
		ssrc := uint32(t.track.SSRC())
		c := r.streams[ssrc]
		if c == nil || c.packets.Load() == 0 {
			continue
		}

		now := r.participant.now()
		lasted := now.Sub(r.participant.Epoch.Add(r.participant.ClockOffset))
		var ahead time.Duration
		if reported := r.participant.Reported; reported != nil {
			var any bool
			if ahead, any = reported(lasted); !any {
				continue
			}
		}
		reports = append(reports, &rtcp.SenderReport{
			SSRC:        ssrc,
			NTPTime:     ntp(now.Add(ahead)),
			PacketCount: c.packets.Load(),
			OctetCount:  c.bytes.Load(),
			RTPTime:     t.clock.at(lasted),
		})
	}
	return reports
}

// ntp is a 64-bit NTP timestamp (RFC 5905 section 6): seconds since 1900 in 32.32 fixed point.
func ntp(t time.Time) uint64 {
	const between1900And1970 = 2208988800
	return (uint64(t.Unix())+between1900And1970)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}
