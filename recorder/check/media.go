package check

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/scratch"
)

// FFmpeg finds out what the ffmpeg binary can do.
func FFmpeg(path string) Check {
	return Check{Name: "ffmpeg", Certain: true, Run: func(ctx context.Context) Finding {
		found, err := mux.Probe(ctx, path)
		switch {
		case err != nil && ctx.Err() != nil:
			return wrong("FFMPEG", "set it to an ffmpeg of 7.1 or newer that runs here", "%s does not end", path)
		case err != nil:
			return wrong("FFMPEG", "set it to an ffmpeg of 7.1 or newer with the muxers webm, mp4 and ogg, the demuxer "+
				"matroska and the bitstream filter setts", "%v", err)
		case !found.Hybrid:
			return warning("FFMPEG", "use 7.1 or newer", "%s is %s: an MP4 file that is not finished, as after a crash, is "+
				"lost", path, found.Version)
		}
		return ok("%s is %s, and can do what is needed", path, found.Version)
	}}
}

// probeSize is how many bytes are written to see whether it works.
const probeSize = 64 << 10

// Scratch finds out whether files can grow in a directory. Limit is how many bytes they may take; 0 is no limit.
func Scratch(directory string, limit int64) Check {
	return Check{Name: "scratch", Certain: true, Run: func(context.Context) Finding {
		released, err := tryDisk(directory)
		if errors.Is(err, unix.ENOSPC) || err == nil {
			return space(directory, limit, released)
		}
		return wrong("SCRATCH_DIR", "set it to a directory on a local disk that user "+user()+" may write to",
			"nothing can be written to %s: %v", directory, err)
	}}
}

// tryDisk writes a file, gives some of its space back, and removes it.
func tryDisk(directory string) (released bool, err error) {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return false, err
	}
	file, err := os.CreateTemp(directory, ".check-*")
	if err != nil {
		return false, err
	}
	defer os.Remove(file.Name()) // by hand, should that fail: it is small
	defer file.Close()

	if _, err := file.Write(make([]byte, probeSize)); err != nil {
		return false, err
	}
	err = unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, probeSize/2)
	return err == nil, nil
}

// space finds out how much space there is.
func space(directory string, limit int64, released bool) Finding {
	usage, err := scratch.OS{}.Measure(directory)
	reserve := scratch.Reserve(usage)
	const mib = 1 << 20
	switch {
	case err != nil:
		return wrong("SCRATCH_DIR", "set it to a directory on a local disk", "%v", err)
	case usage.Free <= reserve && usage.Used > reserve:
		return warning("SCRATCH_DIR", "wait until what recorders have left there is stored, or make the disk larger",
			"%s has %d MiB left: no start is taken until there are more than %d", directory, usage.Free/mib, reserve/mib)
	case usage.Free <= reserve:
		return wrong("SCRATCH_DIR", "make room, or choose another disk", "%s has %d MiB left, of which %d stay free, and "+
			"no recorder's files are there", directory, usage.Free/mib, reserve/mib)
	case limit > usage.Total-reserve:
		return warning("SCRATCH_LIMIT", "set it to less than the disk has, or make the disk larger",
			"it is %d MiB, and the disk of %s has %d", limit/mib, directory, usage.Total/mib)
	case !released:
		return warning("SCRATCH_DIR", "choose a disk with ext4, xfs, btrfs or tmpfs", "the file system of %s cannot give "+
			"back the space of what is stored while a recording runs: each file takes its whole size", directory)
	}
	return ok("%s can be written to, and has %d MiB left", directory, usage.Free/mib)
}

// Directory finds out whether finished files can be put into a directory.
func Directory(directory string) Check {
	return Check{Name: "recordings", Certain: true, Run: func(context.Context) Finding {
		if _, err := tryDisk(directory); err != nil {
			return wrong("RECORDINGS_DIR", "set it to a directory that user "+user()+" may write to, or set S3_BUCKET",
				"nothing can be written to %s: %v", directory, err)
		}
		path, _ := filepath.Abs(directory) // or what was set
		return ok("%s can be written to; S3_BUCKET is not set", path)
	}}
}

// user is who this process runs as.
func user() string { return strconv.Itoa(os.Getuid()) }
