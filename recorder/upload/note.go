package upload

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// note lies beside a local file while it is uploaded, as FILE.upload. It tells whoever finds the file after its
// recorder was killed which bytes of it are only in the bucket any more.
type note struct {
	Upload   string `json:"upload"`          // id of the multipart upload
	Uploaded int64  `json:"uploaded"`        // bytes
	First    int64  `json:"first"`           // length of part 1 in bytes
	Checksum uint64 `json:"checksum,string"` // of part 1 as it was uploaded
	Released int64  `json:"released"`        // the bytes from First up to here may have gone from the disk; 0: none
}

func notePath(path string) string { return path + ".upload" }

func (u *Upload) writeNote(released int64) error {
	body, err := json.Marshal(note{
		Upload:   u.parts.id,
		Uploaded: u.parts.bytes,
		First:    u.sent.first,
		Checksum: u.sent.checksum,
		Released: released,
	})
	if err != nil {
		return fmt.Errorf("make upload note: %w", err)
	}

	if err := u.s3.Disk.Write(notePath(u.path), body); err != nil {
		return fmt.Errorf("write upload note: %w", err)
	}
	return nil
}

// readNote returns nil if there is none: then nothing has been released.
func (s *S3) readNote(path string) (*note, error) {
	body, err := s.Disk.Read(notePath(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read upload note: %w", err)
	}

	var n note
	if err := json.Unmarshal(body, &n); err != nil {
		return nil, fmt.Errorf("read upload note: %w", err)
	}
	return &n, nil
}
