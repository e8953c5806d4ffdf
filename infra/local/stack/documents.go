package stack

import (
	"encoding/json"
	"fmt"

	"livekit-recorder/shared/document"
)

// Documents are those in the bucket of one room's recordings, once they have a file name. They are read as plain files:
// no request is made.
func (s *Stack) Documents(room string) (all []document.Recording, err error) {
	err = s.eachDocument(func(_ string, body []byte) error {
		var r document.Recording
		err := json.Unmarshal(body, &r)
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
