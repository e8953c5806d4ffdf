package command

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCommandsSurviveTheQueue(t *testing.T) {
	start := NewStart("röom/../x", "ali\"ce 🙂", time.Now())
	start.Track, start.Media, start.File, start.Session = "screen_share", "", "a/{id}", "PA_1"
	for _, c := range []Command{start, NewStop("room", "alice", time.Now()),
		{Version: 1, Action: Stop, ID: "x", Recording: "RC_1", RequestedAt: time.Now()}} {
		body, err := c.Encode()
		require.NoError(t, err)
		back, err := Decode(body)
		require.NoError(t, err)
		require.True(t, c.RequestedAt.Equal(back.RequestedAt))
		back.RequestedAt = c.RequestedAt
		require.Equal(t, c, back)
	}
}

func TestFaultsNameTheirField(t *testing.T) {
	valid := func() Command { return NewStart("room", "alice", time.Now()) }
	for name, c := range map[string]struct {
		change func(*Command)
		field  string
	}{
		"no room":              {func(c *Command) { c.Room = "" }, "room"},
		"control character":    {func(c *Command) { c.Room = "a\nb" }, "room"},
		"control in a file":    {func(c *Command) { c.File = "a\x01b" }, "file"},
		"screen with track":    {func(c *Command) { c.Track, c.Media = "camera", Screen }, "media"},
		"too long":             {func(c *Command) { c.Room = strings.Repeat("ä", 129) }, "room"},
		"invalid UTF-8":        {func(c *Command) { c.Participant = "\xff" }, "participant"},
		"unknown track":        {func(c *Command) { c.Track = "webcam" }, "track"},
		"unknown media":        {func(c *Command) { c.Media = "both" }, "media"},
		"media with track":     {func(c *Command) { c.Track, c.Media = "camera", AudioOnly }, "media"},
		"unknown placeholder":  {func(c *Command) { c.File = "{user}" }, "file"},
		"unbalanced brace":     {func(c *Command) { c.File = "a{room" }, "file"},
		"escaping file name":   {func(c *Command) { c.File = "../x" }, "file"},
		"absolute file name":   {func(c *Command) { c.File = "/x" }, "file"},
		"hidden file name":     {func(c *Command) { c.File = "a/.ledger/x" }, "file"},
		"other version":        {func(c *Command) { c.Version = 2 }, "version"},
		"unknown action":       {func(c *Command) { c.Action = "pause" }, "action"},
		"recording id of junk": {func(c *Command) { c.Recording = "a/b" }, "recording"},
		"no time":              {func(c *Command) { c.RequestedAt = time.Time{} }, "requestedAt"},
	} {
		t.Run(name, func(t *testing.T) {
			command := valid()
			require.NoError(t, command.Validate())
			c.change(&command)
			var fault *FieldError
			require.ErrorAs(t, command.Validate(), &fault)
			require.Equal(t, c.field, fault.Field)
		})
	}
}

// Whoever is let into a room is recorded, whatever they are called. SQS takes no message with most control characters,
// nor with two others that JSON allows.
func TestIdentitiesMayHaveAnyCharacters(t *testing.T) {
	const identity = "a\x00b\n\x1b[31m\x7f\u0085\ufffe\uffff\u2028\\ufffe"
	for _, c := range []Command{NewStart("room", identity, time.Now()), NewStop("room", identity, time.Now())} {
		body, err := c.Encode()
		require.NoError(t, err)
		require.False(t, strings.ContainsFunc(body, func(r rune) bool { return r < ' ' || r == 0xfffe || r == 0xffff }))
		back, err := Decode(body)
		require.NoError(t, err)
		require.Equal(t, identity, back.Participant)
	}
}

func TestDecodeStrictNamesUnknownAndMistypedFields(t *testing.T) {
	var v struct {
		Room string `json:"room"`
	}
	for body, field := range map[string]string{`{"room":1}`: "room", `{"room":{}}`: "room", `{"rom":"x"}`: "rom"} {
		var fault *FieldError
		require.ErrorAs(t, DecodeStrict([]byte(body), &v), &fault, body)
		require.Equal(t, field, fault.Field)
	}
	for _, body := range []string{"", "null", "[]", `"x"`, "{", `{} {}`, "{\"room\":\"\xff\"}", strings.Repeat("[", 1e5)} {
		var fault *FieldError
		err := DecodeStrict([]byte(body), &v)
		require.Error(t, err, body)
		require.False(t, errors.As(err, &fault), body)
	}
}

func FuzzDecode(f *testing.F) {
	body, err := NewStart("room", "alice", time.Unix(1, 0)).Encode()
	require.NoError(f, err)
	f.Add(body)
	f.Add(`{"version":1,"action":"stop"}`)
	f.Fuzz(func(t *testing.T, body string) {
		c, err := Decode(body)
		if err != nil {
			return
		}
		again, err := c.Encode()
		require.NoError(t, err)
		_, err = Decode(again)
		require.NoError(t, err)
	})
}
