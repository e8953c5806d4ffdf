package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSubcommandsEndWithAStatusThatSaysHowItWent(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		status int
		prints string
	}{
		"help":              {[]string{"-h"}, 0, "usage: recorder"},
		"version":           {[]string{"--version"}, 0, "participant-recorder "},
		"help of the check": {[]string{"check", "-h"}, 0, "-json"},
		"unknown":           {[]string{"record"}, 2, ""},
		"unknown to it":     {[]string{"check", "everything"}, 2, ""},
		"nothing is set":    {[]string{"check"}, 1, "LIVEKIT_URL is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, name := range []string{"LIVEKIT_URL", "START_QUEUE_URL"} {
				t.Setenv(name, "")
			}
			var out bytes.Buffer
			require.Equal(t, c.status, subcommand(c.args, &out))
			require.Contains(t, out.String(), c.prints)
		})
	}
}

// A machine reads each fault of the environment by itself.
func TestFaultsOfTheEnvironmentAreFindings(t *testing.T) {
	required(t)
	t.Setenv("LIVEKIT_API_SECRET", "")
	t.Setenv("MAX_RECORDINGS", "many")
	var out bytes.Buffer
	require.Equal(t, 1, subcommand([]string{"check", "-json"}, &out))

	var printed report
	require.NoError(t, json.Unmarshal(out.Bytes(), &printed))
	require.False(t, printed.OK)
	require.NotEmpty(t, printed.Version)
	require.Len(t, printed.Checks, 2)
	for _, f := range printed.Checks {
		require.EqualValues(t, "wrong", f.State)
		require.NotContains(t, f.Detail, "\n")
	}
}
