package command

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLabelsAreWhatTagsCanBe(t *testing.T) {
	many := map[string]string{}
	for n := range MaxLabels + 1 {
		many[fmt.Sprint(n)] = ""
	}
	for name, c := range map[string]struct {
		labels map[string]string
		fault  string
	}{
		"none":                   {nil, ""},
		"usual ones":             {map[string]string{"tenant": "7", "cost-center": "a/b=c", "Größe 1": "50 % (new)"}, ""},
		"the longest":            {map[string]string{strings.Repeat("k", 128): strings.Repeat("名", 256)}, ""},
		"no value":               {map[string]string{"a": ""}, ""},
		"too many":               {many, "at most 10"},
		"no key":                 {map[string]string{"": "a"}, "1 to 128"},
		"too long a key":         {map[string]string{strings.Repeat("k", 129): ""}, "1 to 128"},
		"too long a value":       {map[string]string{"a": strings.Repeat("v", 257)}, "257 characters"},
		"too long for S3":        {map[string]string{"a": strings.Repeat("🙂", 129)}, "258 characters"},
		"a key that is no tag's": {map[string]string{"a&b": ""}, "keys may have"},
		"a space at the end":     {map[string]string{"a ": ""}, "keys may have"},
		"a key of AWS":           {map[string]string{"AWS:x": ""}, "is for AWS"},
		"a control character":    {map[string]string{"a": "b\nc"}, "control character"},
		"no UTF-8":               {map[string]string{"a": "\xff"}, "UTF-8"},
	} {
		start := NewStart("room", "alice", time.Now())
		start.Labels = c.labels
		err := start.Validate()
		if c.fault == "" {
			require.NoError(t, err, name)
			continue
		}
		var field *FieldError
		require.ErrorAs(t, err, &field, name)
		require.Equal(t, "labels", field.Field, name)
		require.Contains(t, field.Problem, c.fault, name)
	}
}

func TestWebhooksAreAddresses(t *testing.T) {
	for hook, fine := range map[string]bool{
		"https://example.com/hook?a=b":        true,
		"http://127.0.0.1:8080":               true, // whether that is allowed is for others to say
		"https://[2606:4700::1111]:8443/":     true,
		"https://xn--bcher-kva.example./":     true,
		"https://my_host":                     true,
		"":                                    false,
		"example.com":                         false,
		"ftp://example.com":                   false,
		"https://":                            false,
		"https://:443/":                       false,
		"https://user:pass@example.com/":      false,
		"https://example.com/#a":              false,
		"https://a%00b/":                      false,
		"https://bücher.example/":             false,
		"https://[fe80::1%25eth0]/":           false,
		"https://" + strings.Repeat("a", 201): false,
		"https://example.com/" + strings.Repeat("a", 1024): false,
	} {
		require.Equal(t, fine, ValidateWebhooks([]string{hook}) == nil, hook)
	}
	require.ErrorContains(t, ValidateWebhooks([]string{"https://a", "https://a"}), "twice")
	require.ErrorContains(t, ValidateWebhooks([]string{"https://a", "https://b", "https://c", "https://d"}), "at most 3")
}

func TestWebhooksOnTheInternet(t *testing.T) {
	for hook, fine := range map[string]bool{
		"https://example.com/hook":      true,
		"https://1.1.1.1/":              true,
		"http://example.com/hook":       false,
		"https://LOCALHOST./":           false,
		"https://x.localhost/":          false,
		"https://127.0.0.1/":            false,
		"https://[::ffff:10.0.0.1]/":    false,
		"https://169.254.169.254/":      false,
		"https://[fd00:ec2::254]:8443/": false,
	} {
		require.Equal(t, fine, ValidatePublic([]string{hook}) == nil, hook)
	}
}

// What older recorders and functions do not know is only in messages that need it.
func TestAStartWithoutLabelsIsAsItAlwaysWas(t *testing.T) {
	body, err := NewStart("room", "alice", time.Now()).Encode()
	require.NoError(t, err)
	require.NotContains(t, body, "labels")
	require.NotContains(t, body, "webhooks")

	start := NewStart("room", "alice", time.Now())
	start.Labels, start.Webhooks = map[string]string{"a": "b"}, []string{"https://example.com/hook"}
	body, err = start.Encode()
	require.NoError(t, err)
	back, err := Decode(body)
	require.NoError(t, err)
	require.Equal(t, start.Labels, back.Labels)
	require.Equal(t, start.Webhooks, back.Webhooks)
}
