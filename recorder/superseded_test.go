package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"
)

func TestWhoIsSuperseded(t *testing.T) {
	const old, young = "stack-recorder:7", "stack-recorder:8"
	for name, c := range map[string]struct {
		task            string // of the newest deployment
		wanted, running int
		superseded      bool
	}{
		"it is the newest itself":                {old, 10, 10, false},
		"recorders of the newest are starting":   {young, 10, 9, false},
		"as many as are wanted run":              {young, 10, 10, true},
		"nobody is wanted, and nobody else runs": {young, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprint(w, `{"Cluster":"arn:c","ServiceName":"recorders","Family":"stack-recorder","Revision":"7"}`)
			}))
			defer metadata.Close()
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Amz-Target") != "AmazonEC2ContainerServiceV20141113.DescribeServices" {
					http.Error(w, "{}", http.StatusBadRequest)
					return
				}
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				_, _ = fmt.Fprintf(w, `{"services":[{"desiredCount":%d,"deployments":[
					{"status":"ACTIVE","taskDefinition":"arn:aws:ecs:x:1:task-definition/%s","runningCount":3},
					{"status":"PRIMARY","taskDefinition":"arn:aws:ecs:x:1:task-definition/%s","runningCount":%d}]}]}`,
					c.wanted, old, c.task, c.running)
			}))
			defer service.Close()

			d := deployment{metadata.URL, aws.Config{
				Region:       "somewhere",
				BaseEndpoint: &service.URL,
				Credentials:  aws.AnonymousCredentials{},
				HTTPClient:   http.DefaultClient,
			}}
			got, err := d.superseded(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.superseded, got)
		})
	}

	alone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"Cluster":"arn:c","Family":"stack-recorder","Revision":"7"}`)
	}))
	defer alone.Close()
	_, err := deployment{metadata: alone.URL}.superseded(t.Context())
	require.ErrorContains(t, err, "ServiceName")

	nowhere := httptest.NewServer(http.NotFoundHandler())
	defer nowhere.Close()
	_, err = deployment{metadata: nowhere.URL}.superseded(t.Context())
	require.Error(t, err)
}
