package recording

import (
	"context"
	"slices"
	"time"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

// watch keeps the document in the bucket up to date, and ends the recording when the ledger says that it is no longer
// wanted, or no longer ours. A bucket that cannot be reached ends nothing.
func (t *take) watch(ctx context.Context, end context.CancelCauseFunc) {
	select {
	case <-ctx.Done():
		return
	case <-t.adopted:
	}
	ticker := time.NewTicker(ledgerInterval)
	defer ticker.Stop()
	saved, savedAt := ledger.Recording{}, time.Time{}
	for {
		if now := t.current(); differ(now, saved) || len(now.Parts) > 0 && time.Since(savedAt) >= saveInterval {
			if err := t.save(ctx, now, now.Session != saved.Session); err == nil {
				saved, savedAt = now, time.Now()
			} else if ctx.Err() == nil {
				t.log.WithError(err).Warn("document could not be saved, will be tried again")
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.poked:
		case <-ticker.C:
		}
		holding, err := t.Ledger.Holding(ctx, t.current())
		if err != nil && ctx.Err() == nil {
			t.log.WithError(err).Warn("ledger could not be read, recording goes on")
		}
		switch holding {
		case ledger.Lost:
			end(command.ErrLost)
		case ledger.Stopped:
			end(ErrStopped)
		case ledger.Departed:
			end(errDeparted)
		}
	}
}

// differ says whether a document has changed so that others should know at once.
func differ(a, b ledger.Recording) bool {
	return a.State != b.State || a.Session != b.Session ||
		!slices.EqualFunc(a.Parts, b.Parts, func(a, b ledger.Part) bool {
			return a.State == b.State && a.Key == b.Key && longGaps(a) == longGaps(b)
		})
}

// longGaps counts the gaps of a second and more: should the recorder die, whoever recovers the part must know of them.
func longGaps(part ledger.Part) (n int) {
	for _, t := range part.Tracks {
		for _, gap := range t.Gaps {
			if gap.Length >= 1 {
				n++
			}
		}
	}
	return n
}

func (t *take) save(ctx context.Context, document ledger.Recording, session bool) error {
	if session {
		if err := t.Ledger.Joined(ctx, document, document.Session); err != nil {
			return err
		}
	}
	return t.Documents.Save(ctx, document)
}

// current is the document as it is at the moment.
func (t *take) current() ledger.Recording {
	t.mu.Lock()
	defer t.mu.Unlock()
	document := t.document
	document.Parts = slices.Concat(t.earlier, t.composer.snapshot())
	if len(document.Parts) > 0 {
		document.State = ledger.Active
		document.StartedAt = document.Parts[0].StartedAt
	}
	return document
}
