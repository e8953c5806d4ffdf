package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Broken is everything that the system has answered and written that is not as openapi.yaml and recording.schema.json
// say: every answer so far, and every document that is in the bucket now.
func (s *Stack) Broken() []string {
	if s.Watch == nil {
		return nil // it has not come up
	}

	err := s.eachDocument(func(path string, body []byte) error {
		err := s.Watch.Contract.Document(body)
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
		s.Watch.Note(err)
		return nil
	})
	broken, seen := s.Watch.Broken()
	if err != nil {
		broken = append(broken, err.Error())
	}
	if seen == 0 {
		broken = append(broken, "nothing of what the API answers was looked at")
	}
	return broken
}

// eachDocument reads the documents in the bucket, as plain files: no request is made.
func (s *Stack) eachDocument(visit func(path string, body []byte) error) error {
	return filepath.WalkDir(s.Path(Directory), func(path string, entry fs.DirEntry, err error) error {
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
		if err != nil {
			return err
		}
		return visit(path, body)
	})
}
