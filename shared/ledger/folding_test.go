package ledger

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
)

// folding is a store that does not tell upper case from lower, nor the ways in which Unicode can write an accent: like
// the disks of many desktop computers.
type folding struct{ *shelf }

func fold(key string) string { return strings.ToLower(norm.NFC.String(key)) }

func (f folding) Get(ctx context.Context, key string) ([]byte, string, error) {
	return f.shelf.Get(ctx, fold(key))
}

func (f folding) Put(ctx context.Context, key string, body []byte, tag string) (string, error) {
	return f.shelf.Put(ctx, fold(key), body, tag)
}

// Names are reserved in the store itself: what it takes for the same gets another name.
func TestNamesThatAStoreTakesForTheSameAreGivenOnce(t *testing.T) {
	d := Documents{Store: folding{newShelf()}}
	of := map[string]string{}
	for _, identity := range []string{"Zoe\u0308", "zo\u00eb", "ZO\u00cb", "x", "X", "x.part2", "X.Part2", "x.e2", "x-2"} {
		r := document.NewRecording(command.NewStart("room", identity, noon))
		r, err := d.Reserve(t.Context(), r, document.FileName("{participant}", r, time.Time{}))
		require.NoError(t, err)
		for epoch := 1; epoch <= 3; epoch++ {
			for part := 1; part <= 3; part++ {
				key := fold(document.PartName(r.File, epoch, part, "webm"))
				require.NotContains(t, of, key, "of %s and %s", of[key], r.File)
				of[key] = r.File
			}
		}
	}
}

// In such a store, two participants would share one entry, and one of them would not be recorded, without a word.
func TestAStoreThatTakesTwoPeopleForOneIsNoticed(t *testing.T) {
	l := &Ledger{folding{newShelf()}}
	join := func(identity string) error {
		c := command.NewStart("room", identity, noon)
		_, err := l.Bid(t.Context(), bid(c, "one"))
		return err
	}
	require.NoError(t, join("alice"))
	require.ErrorIs(t, join("Alice"), ErrCorrupt)
	require.NoError(t, join("bob"))
}
