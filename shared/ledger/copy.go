package ledger

import (
	"strings"
	"sync"
)

// Copy is what somebody remembers of one document: as it was when they last read or wrote it. Somebody else may have
// written it since. The zero Copy remembers nothing.
type Copy struct {
	mu   sync.Mutex // guards:
	key  string
	body []byte
	tag  string
}

// remember keeps a document beside its files, instead of what has been kept. Nil keeps nothing.
func (c *Copy) remember(key string, body []byte, tag string) {
	if c == nil || strings.HasPrefix(key, ".recordings/") {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key, c.body, c.tag = key, body, tag
}

// recall returns an object, if it is the one that is remembered.
func (c *Copy) recall(key string) (body []byte, tag string, ok bool) {
	if c == nil {
		return nil, "", false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tag == "" || c.key != key {
		return nil, "", false
	}
	return c.body, c.tag, true
}

// forget remembers nothing any more: the document has changed.
func (c *Copy) forget() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tag = ""
}
