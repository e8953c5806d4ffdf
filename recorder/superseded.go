package main

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"

	"livekit-recorder/shared/ecs"
)

// deployment knows of which version of its ECS service this recorder is.
type deployment struct {
	metadata string // ECS's metadata endpoint
	aws      aws.Config
}

// superseded says whether all recorders that are wanted run in another version, to which ECS moves the service: its
// newest, or the one before if the newest did not do.
func (d deployment) superseded(ctx context.Context) (bool, error) {
	task, err := readTask(ctx, d.metadata)
	if err != nil {
		return false, err
	}
	if task.ServiceName == "" {
		return false, errors.New("ask for task metadata: they name no ServiceName, which tasks of an ECS service have")
	}
	service := ecs.Service{
		Client:  awsecs.NewFromConfig(d.aws),
		Cluster: task.Cluster,
		Name:    task.ServiceName,
	}
	state, err := service.State(ctx)
	if err != nil {
		return false, err
	}
	return state.Task != task.Family+":"+task.Revision && state.Running >= max(1, state.Wanted), nil
}
