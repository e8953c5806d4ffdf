package recording

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/shared/ledger"
)

const (
	// repairTimeout bounds the reading and writing of one file.
	repairTimeout = 10 * time.Minute
	// maxRepair is the largest file that is repaired, in bytes: it needs twice that on the scratch disk.
	maxRepair = 4 << 30
)

// reasonVanished is why a part ends that another recorder has recovered.
const reasonVanished = "its recorder disappeared"

// recoverParts makes files of what the recorders that had this recording before, and disappeared, have left in the bucket.
// It runs beside the recording that goes on, and once more at its end: recorders that drain may begin parts after others
// have taken over.
func (t *take) recoverParts(ctx context.Context) {
	since := time.Now()
	for n := 0; n < len(t.earlier); n++ {
		t.mu.Lock()
		part := t.earlier[n]
		t.mu.Unlock()
		if part.Final() {
			continue
		}
		log := t.log.WithField("key", part.Key)
		if !t.drained(ctx, &part, since) {
			t.recoverPart(ctx, &part, path.Join(path.Dir(t.document.File), path.Base(part.Key)), log)
			log.WithFields(logrus.Fields{"state": part.State, "bytes": part.Size, "seconds": part.Duration}).Warn("part recovered: its recorder disappeared")
		}
		t.mu.Lock()
		t.earlier[n] = part
		t.mu.Unlock()
		t.poke()
	}
}

// findParts takes note of parts that other recorders have begun, and not brought to their end.
func (t *take) findParts(ctx context.Context) error {
	document, err := t.Documents.ByID(ctx, t.document.ID)
	if err != nil {
		return err
	}
	if document.Epoch > t.document.Epoch {
		return ledger.ErrSuperseded // they are its owner's
	}
	known := t.current().Parts
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range document.Parts {
		if !p.Final() && !slices.ContainsFunc(known, func(o ledger.Part) bool { return o.Key == p.Key }) {
			t.earlier = append(t.earlier, p)
		}
	}
	return nil
}

func (t *take) recoverPart(ctx context.Context, part *ledger.Part, name string, log logrus.FieldLogger) {
	var whole bool
	err := insist(ctx, log, "recover part", func(ctx context.Context) (err error) {
		part.Size, whole, err = t.Storage.Recover(ctx, name, part.Container)
		if errors.Is(err, ledger.ErrNotFound) {
			return permanent(err)
		}
		return err
	})
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		part.State, part.Reason = ledger.Failed, reasonVanished+" before anything of it was stored"
		return
	case err != nil:
		part.State, part.Reason = ledger.Failed, reasonVanished+", and what it had stored could not be put together: "+err.Error()
		return
	}
	part.State, part.Reason, part.Recovered = ledger.Completed, reasonVanished, !whole
	if whole {
		return
	}
	if err := t.repair(ctx, t.directory(), part, name); err != nil {
		log.WithError(err).Warn("recovered file could not be given an index, it stays as it is")
	}
}

// repair gives a recovered file what its recorder would have given it in the end: a duration and an index. Directory is
// where it may work.
func (s *Studio) repair(ctx context.Context, directory string, part *ledger.Part, name string) error {
	if part.Size > maxRepair {
		return errors.New("it is too large")
	}
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	broken, repaired := filepath.Join(directory, "recovered-"+filepath.Base(name)), filepath.Join(directory, "repaired-"+filepath.Base(name))
	defer os.Remove(broken)   // whatever becomes of it
	defer os.Remove(repaired) // the upload has done so already, if all went well
	if err := s.Storage.Fetch(ctx, name, broken); err != nil {
		return err
	}
	length, err := mux.Repair(ctx, s.FFmpeg, broken, repaired, part.Container)
	if err != nil {
		return err
	}
	size, err := s.Storage.Begin(repaired, name, part.Container).Finish(ctx)
	if err == nil {
		part.Size, part.Duration = size, length.Seconds()
	}
	return err
}
