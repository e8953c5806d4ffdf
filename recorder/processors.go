package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	// cgroupLimit has what a container may use (kernel documentation, "Control Group v2", cpu.max): QUOTA PERIOD, or
	// max.
	cgroupLimit = "/sys/fs/cgroup/cpu.max"
	// metadataTimeout bounds the asking of ECS's metadata endpoint, which is on the same host.
	metadataTimeout = 2 * time.Second
)

// processors is how many this recorder may use: those of the machine, unless the container is limited, or the ECS
// task is. On Fargate the limit is only known to the metadata endpoint (ECS developer guide, "Task metadata endpoint
// version 4"): the machine shows two processors to a task of one.
func processors(ctx context.Context, cgroupFile, metadata string) (float64, error) {
	count := float64(runtime.NumCPU())
	limit, err := cgroupCPUs(cgroupFile)
	if limit > 0 {
		count = min(count, limit)
	}
	if metadata != "" {
		limit, metadataErr := taskCPUs(ctx, metadata)
		if limit > 0 {
			count = min(count, limit)
		}
		err = errors.Join(err, metadataErr)
	}

	return count, err
}

// cgroupCPUs is 0 without a limit.
func cgroupCPUs(path string) (float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, nil // no cgroup of version 2: nothing is limited that way
	}

	quota, period, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if quota == "max" {
		return 0, nil
	}

	used, usedErr := strconv.ParseFloat(quota, 64)
	of, ofErr := strconv.ParseFloat(period, 64)
	if err := errors.Join(usedErr, ofErr); err != nil || of == 0 {
		return 0, fmt.Errorf("read %s: %q: %w", path, text, err)
	}
	return used / of, nil
}

// taskCPUs is 0 without a limit.
func taskCPUs(ctx context.Context, metadata string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, metadata+"/task", nil)
	if err != nil {
		return 0, fmt.Errorf("ask for task metadata: %w", err)
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask for task metadata: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("ask for task metadata: %s", response.Status)
	}

	var task struct{ Limits struct{ CPU float64 } }
	if err := json.NewDecoder(response.Body).Decode(&task); err != nil {
		return 0, fmt.Errorf("read task metadata: %w", err)
	}
	return task.Limits.CPU, nil
}
