package document

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func named(name string) Profile { return Profile{Name: name, Kind: "standard"} }

func TestAParticipantIsDescribedAsTheyCameAndAsTheyChanged(t *testing.T) {
	r := Recording{}.Described(named("Alice"), noon)
	require.Equal(t, named("Alice"), r.Profile)
	require.Empty(t, r.Changes)

	again := r.Described(named("Alice"), *after(1))
	require.Equal(t, r, again, "nothing is new")
	first := r.Described(named("Bob"), *after(2))
	back := first.Described(named("Alice"), *after(3))
	require.Equal(t, named("Alice"), back.Profile)
	require.Equal(t, []Change{{*after(2), named("Bob")}, {*after(3), named("Alice")}}, back.Changes)
	require.Len(t, first.Changes, 1, "what others have is left as it is")

	body, err := json.Marshal(first)
	require.NoError(t, err)
	require.Contains(t, string(body), `"name":"Alice","kind":"standard","changes":[{"at":"2026-01-02T12:00:02Z",`+
		`"name":"Bob","kind":"standard"}]`)
}

// Whoever has been recorded without the bucket's answer is described when it comes, beside what it has of another
// recorder.
func TestWhatWasSeenBeforeIsKept(t *testing.T) {
	seen := Recording{Session: "S2"}.Described(named("Bob"), noon).Described(named("Carol"), *after(1))
	there := Recording{Session: "S1"}.Described(named("Alice"), noon)
	r := there.Seen(seen)
	require.Equal(t, "S2", r.Session)
	require.Equal(t, named("Alice"), r.Profile)
	require.Len(t, r.Changes, 2)
	require.Equal(t, Change{*after(1), named("Carol")}, r.Changes[1])
	require.Equal(t, there, there.Seen(Recording{}))
	require.Equal(t, named("Bob"), Recording{}.Seen(seen).Profile)
}

// What LiveKit allows is more than a document should have, of which an event takes 256 KiB.
func TestProfilesAreBounded(t *testing.T) {
	for what, text := range map[string]string{
		"letters":            strings.Repeat("x", 64<<10),
		"control characters": strings.Repeat("\x01", 64<<10),
		"wide characters":    strings.Repeat("名", 20<<10),
		"none of any kind":   strings.Repeat("\xff", 64<<10),
	} {
		whole := Profile{
			Name:       text,
			Kind:       "agent",
			Metadata:   text,
			Attributes: map[string]string{"a": "1", "b": text, "c": "2"},
		}
		p := whole.Bounded()
		require.True(t, p.ProfileCut, what)
		require.Equal(t, map[string]string{"a": "1"}, p.Attributes, what)
		require.True(t, strings.HasPrefix(text, p.Metadata), what)
		require.InDelta(t, maxMetadata, encodedLength(p.Metadata), 12, what)
		require.LessOrEqual(t, encodedLength(p.Metadata), maxMetadata, what)
		require.Equal(t, utf8.ValidString(text), utf8.ValidString(p.Metadata), what)
		require.Equal(t, p, p.Bounded(), what)
		require.Len(t, whole.Attributes, 3)
	}
	small := Profile{Name: "Alice", Kind: "sip", Metadata: "{}", Attributes: map[string]string{"sip.phoneNumber": "+49"}}
	require.Equal(t, small, small.Bounded())
}

func TestADocumentOfSomebodyWhoChangesAgainAndAgainIsBounded(t *testing.T) {
	r := Recording{}
	for n := range 100 {
		text := fmt.Sprint(n, strings.Repeat("\x01", 64<<10))
		r = r.Described(Profile{Name: text, Metadata: text, Attributes: map[string]string{"a": strings.Repeat("\x01", 600)}},
			*after(float64(n)))
	}
	require.Len(t, r.Changes, MaxChanges)
	require.Equal(t, 99-MaxChanges, r.ChangesOmitted)
	require.True(t, strings.HasPrefix(r.Name, "0"))
	require.True(t, strings.HasPrefix(r.Changes[MaxChanges-1].Name, "99"))
	body, err := json.Marshal(r)
	require.NoError(t, err)
	require.Less(t, len(body), 128<<10)
}
