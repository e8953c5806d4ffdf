// Package parts makes media files of the frames of one recording. A part is one such file. The composer decides where
// one part ends and the next begins, the writer what lies in a part, and when it has ended it is stored while
// recording goes on.
package parts

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

// Track is a track of the participant, whose frames come by [Composer.Push]. Two values are the same track if they
// are equal.
type Track interface {
	// SID is LiveKit's identifier of it.
	SID() string
	// Source is what is captured: "camera", "microphone", …
	Source() string
	Codec() track.Codec
	// Stats counts what has come so far.
	Stats() track.Stats
	// Synced says that Time is exact: the sender has reported by its clock.
	Synced() bool
	// Time is when a frame was captured, by the publisher's clock, as far as that is known by now.
	Time(track.Frame) time.Time
	// Settle returns the same, for good.
	Settle(track.Frame) time.Time
	// ClockOffset is by how much the publisher's clock is ahead of this machine's, as far as that is known.
	ClockOffset() time.Duration
	// RequestKeyFrame asks the publisher for a key frame. It does not block.
	RequestKeyFrame()
}

// File is a media file that is being written: [mux.Part].
type File interface {
	// Write appends a frame of a stream at its time since the file's beginning.
	Write(stream int, at time.Duration, key bool, data []byte) error
	// Close finishes the file, until ctx is done. The file does not grow any more when it returns, whatever it returns.
	Close(ctx context.Context) error
	// Complaints are what was strange about the frames, for the log; empty if nothing was.
	Complaints() string
}

var _ File = (*mux.Part)(nil)

// Upload is a part's file on its way to where it is kept.
type Upload interface {
	// Finish returns when the file is safely there, with its size in bytes. The name under which it is stored is
	// another than was asked for if another recorder has made a file of what had been stored of it: then the whole is
	// an extra file under that name. It can be called again after an error; [io/fs.ErrNotExist] says that there is no
	// file.
	Finish(ctx context.Context) (name string, size int64, err error)
	// Torn says of a file that is stored that it has zeros where something of it is missing, which is in the other
	// recorder's file: it has to be repaired.
	Torn() bool
	// Broken says that a panic has ended the storing while the file grows: nothing of it is stored any more, Finish
	// returns [guard.ErrPanic], and the file stays on the disk.
	Broken() bool
	// Leave ends the storing without an end of the file, which stays on the disk for whoever finds it.
	Leave()
}

// Config is what a composer needs from outside.
type Config struct {
	// Context is how long the storing of parts is tried again. Files that are not stored when it ends stay on the disk.
	Context context.Context
	// Open begins a file on the local disk.
	Open func(path string, streams []mux.Stream) (File, error)
	// Begin begins to store the file at path, while it grows.
	Begin func(path, name, container string) Upload
	// Key is what documents call the file of that name.
	Key func(name string) string
	// Directory returns where the next part's file grows, and makes that directory if it is not there.
	Directory func() (string, error)
	// Repair gives a stored file that could not be finished, or is torn, a duration and an index, if it can, and corrects
	// what part says. The error says that it should be tried again.
	Repair func(ctx context.Context, part *document.Part, name string) error
	// Kinds is how many kinds of tracks are wanted: 1, or 2 for sound and pictures.
	Kinds int
	// Changed is told what there is to say about part n (from 0), each time when that has changed: a part has begun,
	// grown (told every 5 s), is to be finished by another recorder, has ended, got its name, been stored, or failed.
	// Parts are told of in order, by one goroutine at a time: the composer's owner or one that stores. It must not
	// block, nor use the composer but for [Composer.Parts].
	Changed func(n int, part document.Part)
	Log     logrus.FieldLogger
}
