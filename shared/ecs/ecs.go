// Package ecs asks the ECS service that runs the recorders the little that has to be known of it.
package ecs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

// newest is the status of the deployment that a service is moving to, or has moved to (API reference, "Deployment").
const newest = "PRIMARY"

// errNoService says that ECS does not know the service, or does not say how it is deployed.
var errNoService = errors.New("there is no such service")

// Service is one ECS service.
type Service struct {
	Client        *ecs.Client
	Cluster, Name string
}

// State is what a service is about.
type State struct {
	Wanted int // tasks
	// Task is the task definition of the newest deployment, as FAMILY:REVISION, Running how many tasks of it run.
	Task    string
	Running int
}

// State asks for it.
func (s *Service) State(ctx context.Context) (State, error) {
	out, err := s.Client.DescribeServices(ctx, &ecs.DescribeServicesInput{
		Cluster:  &s.Cluster,
		Services: []string{s.Name},
	})
	if err != nil {
		return State{}, fmt.Errorf("describe service: %w", err)
	}

	for _, service := range out.Services {
		for _, deployment := range service.Deployments {
			if aws.ToString(deployment.Status) == newest {
				return State{
					Wanted:  int(service.DesiredCount),
					Task:    taskOf(aws.ToString(deployment.TaskDefinition)),
					Running: int(deployment.RunningCount),
				}, nil
			}
		}
	}
	return State{}, fmt.Errorf("describe service %s of cluster %s: %w", s.Name, s.Cluster, errNoService)
}

// taskOf is the end of a task definition's ARN.
func taskOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// Want sets how many tasks there are to be.
func (s *Service) Want(ctx context.Context, tasks int) error {
	_, err := s.Client.UpdateService(ctx, &ecs.UpdateServiceInput{
		Cluster:      &s.Cluster,
		Service:      &s.Name,
		DesiredCount: aws.Int32(int32(tasks)),
	})
	if err != nil {
		return fmt.Errorf("update service: %w", err)
	}
	return nil
}
