package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"livekit-recorder/shared/document"
)

// Documents are those in the bucket of one room's recordings, once they have a file name. They are read as plain files:
// no request is made.
func (s *Stack) Documents(room string) (all []document.Recording, err error) {
	err = filepath.WalkDir(s.Path(Directory), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // nothing has been stored, or it has just been replaced
			return nil
		case err != nil:
			return err
		case strings.HasPrefix(entry.Name(), ".") && entry.IsDir():
			return fs.SkipDir // the service's own
		case entry.IsDir() || !strings.HasSuffix(path, ".json"):
			return nil
		}

		body, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		var r document.Recording
		if err == nil {
			err = json.Unmarshal(body, &r)
		}
		if r.Room == room {
			all = append(all, r)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read documents: %w", err)
	}
	return all, nil
}
