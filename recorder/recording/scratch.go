package recording

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

// The scratch directory has a directory for each recorder, locked while it lives, and in it one for each recording with
// its growing files: RECORDER/RECORDING.EPOCH/partN.EXTENSION (see [localName]).
const lockFile = ".lock"

// reasonKilled is the reason of a part that was finished from the disk of its recorder.
const reasonKilled = "its recorder ended before it was stored, and the file was finished from its disk"

// scratchTimeout bounds the recovering of what lies on the disk: recordings wait for it.
const scratchTimeout = 3 * time.Minute

// OpenScratch makes this recorder's own scratch directory. It gets its name when it is locked: another recorder that starts
// on this disk would take it for a dead one's.
func (s *Studio) OpenScratch() error {
	unlocked := filepath.Join(filepath.Dir(s.Scratch), ".new-"+filepath.Base(s.Scratch))
	if err := os.MkdirAll(unlocked, 0o755); err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	var err error
	if s.lock, err = lock(unlocked); err != nil {
		return fmt.Errorf("lock scratch directory: %w", err)
	}
	if err := os.Rename(unlocked, s.Scratch); err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	return nil
}

// CloseScratch removes it, unless files are left in it that could not be stored: another recorder on this disk will.
func (s *Studio) CloseScratch() {
	_ = os.Remove(filepath.Join(s.Scratch, lockFile)) // if that fails, the next step says so
	_ = s.lock.Close()                                // gives up the lock
	if err := os.Remove(s.Scratch); err != nil {
		s.Log.WithError(err).Warn("scratch directory is not empty")
	}
}

// lock takes a directory's lock, or fails at once if another process has it.
func lock(directory string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(directory, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// RecoverScratch stores what recorders that were killed have left on this disk.
func (s *Studio) RecoverScratch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, scratchTimeout)
	defer cancel()
	directories, err := filepath.Glob(filepath.Join(filepath.Dir(s.Scratch), "RR_*"))
	if err != nil {
		s.Log.WithError(err).Error("scratch directory cannot be read")
	}
	for _, directory := range directories {
		if directory == s.Scratch {
			continue
		}
		held, err := lock(directory)
		if err != nil {
			continue // its recorder lives
		}
		s.Log.WithField("directory", directory).Warn("a recorder ended here before everything was stored: storing what it has left")
		s.recoverDirectory(ctx, directory)
		_ = os.Remove(filepath.Join(directory, lockFile)) // if that fails, the next step says so
		_ = held.Close()                                  // gives up the lock
		if err := os.Remove(directory); err != nil {
			s.Log.WithError(err).Error("not everything could be stored, the rest stays on disk")
		}
	}
}

func (s *Studio) recoverDirectory(ctx context.Context, directory string) {
	recordings, err := filepath.Glob(filepath.Join(directory, "*.[0-9]*"))
	if err != nil {
		s.Log.WithError(err).Error("scratch directory cannot be read")
	}
	for _, recording := range recordings {
		log := s.Log.WithField("directory", recording)
		document, file, offset, err := s.documentOf(ctx, recording)
		if err != nil {
			log.WithError(err).Error("document of a killed recorder's files could not be found, they stay on disk")
			continue
		}
		stored := true
		files, _ := filepath.Glob(filepath.Join(recording, "*")) // the pattern is a good one
		for _, path := range files {
			local, ok := parseLocal(filepath.Base(path))
			if !ok {
				continue // an attempt at a repair, or a note
			}
			local.number += offset
			log := log.WithFields(logrus.Fields{"recording": document.ID, "file": path})
			if err := s.recoverFile(ctx, path, document, local.partOf(file), local.container, log); err != nil {
				log.WithError(err).Error("file of a killed recorder could not be stored, it stays on disk")
				stored = false
			}
		}
		if stored {
			_ = os.RemoveAll(recording) // if that fails, the directory of the recorder cannot be removed either, which is logged
		}
	}
}

// documentOf finds the recording that the files in a directory belong to, what they are called, and by how much the
// numbers of the parts are too low. What a recorder recorded before the bucket had answered is called after it: others may
// have gone on with parts of their own.
func (s *Studio) documentOf(ctx context.Context, directory string) (document ledger.Recording, file string, offset int, err error) {
	id, epoch, _ := strings.Cut(filepath.Base(directory), ".")
	if epoch == unclaimedEpoch {
		text, err := os.ReadFile(filepath.Join(directory, offsetFile))
		if errors.Is(err, os.ErrNotExist) {
			document, err = s.reserveLate(ctx, directory)
			return document, document.File + "." + filepath.Base(filepath.Dir(directory)), 0, err
		}
		if err == nil {
			offset, err = strconv.Atoi(string(text))
		}
		if err != nil {
			return document, "", 0, err
		}
	}
	document, err = s.Documents.ByID(ctx, id)
	return document, document.File, offset, err
}

// reserveLate makes the document of a recording whose recorder was killed before it could, or finds the one that another
// recorder has made.
func (s *Studio) reserveLate(ctx context.Context, directory string) (ledger.Recording, error) {
	text, err := os.ReadFile(filepath.Join(directory, startFile))
	if err != nil {
		return ledger.Recording{}, err
	}
	start, err := command.Decode(string(text))
	if err != nil {
		return ledger.Recording{}, err
	}
	recording := ledger.NewRecording(start)
	recording.Bucket = s.Bucket
	return s.Documents.Reserve(ctx, recording, s.fileName(start))
}

// recoverFile stores one file of a killed recorder, unless another recorder has recovered it already, and tells its
// document.
func (s *Studio) recoverFile(ctx context.Context, path string, document ledger.Recording, name, container string, log logrus.FieldLogger) error {
	part := ledger.Part{Key: s.Storage.Key(name), Container: container, State: ledger.Active, Tracks: []ledger.TrackReport{}}
	for _, known := range document.Parts {
		if known.Key == part.Key {
			part = known
		}
	}
	if part.State == ledger.Completed {
		return os.Remove(path)
	}
	written, err := settled(ctx, path)
	if err != nil {
		return err
	}
	err = insist(ctx, log, "store file", func(ctx context.Context) error {
		tail, err := s.Storage.Resume(ctx, path, name, container)
		if err != nil {
			return err
		}
		part.Size, err = tail.Finish(ctx)
		return err
	})
	if errors.Is(err, ledger.ErrSuperseded) {
		log.Info("another recorder has recovered this file")
		return os.Remove(path)
	}
	if err != nil {
		return err
	}
	part.State, part.Reason, part.Recovered = ledger.Completed, reasonKilled, true
	if err := s.repair(ctx, filepath.Dir(path), &part, name); err != nil {
		log.WithError(err).Warn("recovered file could not be given an index, it stays as it is")
	}
	if part.StartedAt == nil { // no document knew of it
		began := written.Add(-time.Duration(part.Duration * float64(time.Second))).UTC()
		part.StartedAt = &began
	}
	log.WithField("bytes", part.Size).Info("file of a killed recorder stored")
	return s.Documents.Amend(ctx, document, []ledger.Part{part})
}

// settleTime is how long nothing must have been written to a file to be taken for finished.
const settleTime = 2 * time.Second

// settled waits for ffmpeg, which outlives a recorder that is killed by the moment that it takes to close its file. It
// returns when that was.
func settled(ctx context.Context, path string) (time.Time, error) {
	for {
		info, err := os.Stat(path)
		if err != nil {
			return time.Time{}, err
		}
		left := settleTime - time.Since(info.ModTime())
		if left <= 0 {
			return info.ModTime(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-time.After(left):
		}
	}
}
