package upload

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// mostRests is how many extra names are tried.
const mostRests = 9

// restName is the n-th extra name (from 1) of a file: FILE.rest.EXT, FILE.rest2.EXT.
func restName(name string, n int) string {
	extension := path.Ext(name)
	number := ""
	if n > 1 {
		number = strconv.Itoa(n)
	}
	return strings.TrimSuffix(name, extension) + ".rest" + number + extension
}

// superseded stores a file whose name has an object already, made by whoever took this recorder for dead, or by a
// completion of our own whose answer was lost. Gone says that our upload is.
func (u *Upload) superseded(ctx context.Context, size int64, there found, gone bool) (*made, error) {
	if there.holds >= size {
		u.sent.strays = true
		return &made{name: u.name, size: there.size}, nil
	}

	// Bytes that are neither on the disk nor in the object are still in our upload, which can only become an object of
	// this key. It holds all that the other one does, and replaces exactly that one.
	if !u.has(there) && !gone && u.parts.id != "" {
		if err := u.makeObject(ctx, size, condition{tag: there.tag}); err != nil {
			return nil, err // the next call looks
		}
		return &made{name: u.name, size: size}, nil
	}

	// Of the disk's bytes, which may be fewer after a crash of the machine.
	size, err := u.size()
	if err != nil {
		return nil, err
	}
	stored, err := u.putRest(ctx, size, there)
	if err != nil {
		return nil, err
	}
	u.sent.strays = true
	u.log.WithField("rest", stored.name).Warn("another recorder made a file of what was uploaded: here is the whole")
	return stored, nil
}

// Somebody's completion may be under way: the upload can be gone before the object is there.
const (
	objectPatience = 5 * time.Second
	objectLook     = 250 * time.Millisecond
)

// errAppeared says that an object has come in the meantime.
var errAppeared = errors.New("its object was made just now")

// staysAway makes sure that there is no object, and none about to come.
func (u *Upload) staysAway(ctx context.Context) error {
	ticker := time.NewTicker(objectLook)
	defer ticker.Stop()
	for until := time.Now().Add(objectPatience); time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		there, err := u.s3.look(ctx, u.parts.key)
		if err != nil {
			return err
		}
		if there.there {
			return fmt.Errorf("store %s: %w", u.parts.key, errAppeared)
		}
	}
	return nil
}

// bereft stores a file of which neither the upload is there any more nor an object: that has been joined to others, or
// somebody has removed it. What had been uploaded, and given back to the disk, is torn out.
func (u *Upload) bereft(ctx context.Context) (*made, error) {
	size, err := u.size()
	if err != nil {
		return nil, err
	}
	stored, err := u.putRest(ctx, size, found{source: source{key: u.parts.key}, repaired: "gone"})
	if err != nil {
		return nil, err
	}
	u.log.WithField("rest", stored.name).Warn("what was uploaded is neither an upload nor an object: here is what is left")
	return stored, nil
}

// Torn says of a file that is stored that it has zeros where bytes of it were that are neither on the disk any more nor
// in an object, but in one that has been repaired. Without a repair nobody finds what is behind them.
func (u *Upload) Torn() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.made != nil && u.made.torn
}

// has says whether an object has all that has been released of the file, byte by byte.
func (u *Upload) has(there found) bool {
	return u.sent.released == 0 || there.repaired == "" && there.size >= u.sent.released
}

// putRest stores the whole file as a new object under an extra name.
func (u *Upload) putRest(ctx context.Context, size int64, there found) (*made, error) {
	pieces, torn := u.pieces(size, there)
	if torn > 0 {
		u.log.WithField("bytes", torn).Error("what was uploaded is in the repaired file only")
	}

	for n := 1; n <= mostRests; n++ {
		name := restName(u.name, n)
		o := u.parts.object
		o.key = u.s3.Key(name)
		stored, err := u.putAs(ctx, o, pieces)
		if err != nil {
			return nil, err
		}
		if stored.holds >= size { // an earlier try may still have copied what the other object had
			return &made{name: name, size: stored.size, torn: torn > 0}, nil
		}
	}
	return nil, fmt.Errorf("store rest of %s: %d names are taken", u.parts.key, mostRests)
}

// putAs makes an object unless there is one, and returns what is there then. What earlier tries have left goes, also if
// one of them has made the object, and came no further.
func (u *Upload) putAs(ctx context.Context, o object, pieces []piece) (found, error) {
	there, err := u.s3.look(ctx, o.key)
	if err == nil {
		err = u.s3.abortAll(ctx, o.key)
	}
	if err != nil || there.there {
		return there, err
	}

	failed := u.s3.write(ctx, o, condition{}, u.file, pieces)
	there, err = u.s3.look(ctx, o.key)
	if err != nil || !there.there || failed == nil {
		return there, errors.Join(failed, err)
	}
	return there, u.s3.abortAll(ctx, o.key)
}

// pieces says of what the whole file can be made: part 1 and what follows the released bytes from the disk, and these
// from the object that somebody has made of our parts. What has been repaired meanwhile has other bytes; then those are
// torn out, so many, and read as zeros from the disk: everything else stays where the file's index says it is.
func (u *Upload) pieces(size int64, there found) (pieces []piece, torn int64) {
	if u.sent.released == 0 {
		return u.s3.whole(size), 0
	}

	s, start := u.s3, u.sent.first
	pieces = s.split(nil, 0, start, start)
	if end := min(there.size, u.sent.released); there.repaired == "" && end-start >= s.least() {
		pieces = append(pieces, s.split(&there.source, start, end, copyParts*s.least())...)
		start = end
	}
	pieces = append(pieces, s.split(nil, start, size, max(onceParts*s.least(), size/writeParts))...)
	return pieces, max(0, min(size, u.sent.released)-start)
}
