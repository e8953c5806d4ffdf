package environment

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/ecs"
)

// control is ECS's control plane, in memory.
type control struct {
	wanted int
	calls  []string
	fault  error
	hangs  bool
}

// Do implements what the AWS SDK asks of an HTTP client.
func (c *control) Do(r *http.Request) (*http.Response, error) {
	call := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonEC2ContainerServiceV20141113.")
	c.calls = append(c.calls, call)
	if c.hangs {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if c.fault != nil {
		return nil, c.fault
	}

	var in struct {
		Cluster, Service string
		Services         []string
		DesiredCount     *int
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	if in.Cluster != "cluster" || !slices.Contains(append(in.Services, in.Service), "recorders") {
		return nil, errors.New("another service")
	}
	if call == "UpdateService" {
		c.wanted = *in.DesiredCount
	}

	service := map[string]any{
		"desiredCount": c.wanted,
		"deployments":  []map[string]any{{"status": "PRIMARY", "taskDefinition": "a/b:1"}},
	}
	body, err := json.Marshal(map[string]any{"service": service, "services": []any{service}})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body:       io.NopCloser(strings.NewReader(string(body))),
	}, nil
}

func (c *control) waking() *waking {
	log := logrus.New()
	log.SetOutput(io.Discard)
	client := awsecs.New(awsecs.Options{
		Region:       "somewhere",
		BaseEndpoint: aws.String("https://ecs.invalid"),
		Credentials:  aws.AnonymousCredentials{},
		HTTPClient:   c,
	})
	return &waking{recorders: &ecs.Service{Client: client, Cluster: "cluster", Name: "recorders"}, log: log}
}

func TestTheFirstStartWakesTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &control{}
		w := c.waking()
		for range 100 {
			w.wake(t.Context())
		}
		require.Equal(t, 1, c.wanted)
		require.Equal(t, []string{"DescribeServices", "UpdateService"}, c.calls, "not for each start")

		c.calls, c.wanted = nil, 5
		time.Sleep(awake)
		w.wake(t.Context())
		require.Equal(t, 5, c.wanted, "what scaling has set stays")
		require.Equal(t, []string{"DescribeServices"}, c.calls)
	})
}

// A start that is answered must not fail, or wait, because of ECS.
func TestAServiceThatCannotBeAskedIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &control{hangs: true}
		w := c.waking()
		began := time.Now()
		w.wake(t.Context())
		require.Equal(t, wakeTimeout, time.Since(began))
		began = time.Now()
		w.wake(t.Context())
		require.Zero(t, time.Since(began), "others do not wait")

		c.hangs = false
		time.Sleep(wakeAgain)
		w.wake(t.Context())
		require.Equal(t, 1, c.wanted)
	})
}
