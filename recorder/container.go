package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	// cgroup has what a container may use, in its files cpu.max and memory.max (kernel documentation, "Control Group v2").
	cgroup = "/sys/fs/cgroup"
	// metadataTimeout bounds the asking of ECS's metadata endpoint, which is on the same host.
	metadataTimeout = 2 * time.Second
	// usualMemory is how many bytes this process is taken to have if nothing limits them.
	usualMemory = 2 << 30
)

// container is what this recorder may use.
type container struct {
	processors float64
	memory     int64 // bytes
}

// readContainer finds that out: what the machine has, unless the container is limited, or the ECS task is. On Fargate
// the limits are only known to the metadata endpoint (ECS developer guide, "Task metadata endpoint version 4"): the
// machine shows two processors to a task of one. What could be found out is returned with an error, too.
func readContainer(ctx context.Context, cgroup, metadata string) (container, error) {
	c := container{processors: float64(runtime.NumCPU()), memory: usualMemory}

	own, err := cgroupLimits(cgroup)
	c.limit(own)
	if metadata != "" {
		task, metadataErr := readTask(ctx, metadata)
		c.limit(container{task.Limits.CPU, int64(task.Limits.Memory * (1 << 20))})
		err = errors.Join(err, metadataErr)
	}

	return c, err
}

// limit takes limits, of which 0 is none. Memory may also be more than is usual.
func (c *container) limit(to container) {
	if to.processors > 0 {
		c.processors = min(c.processors, to.processors)
	}
	if to.memory > 0 {
		c.memory = to.memory
	}
}

// heap is how many bytes are for the heap before garbage is collected more often: half of the memory. The rest is for
// ffmpeg, for what the kernel keeps of files, and for bursts.
func (c container) heap() int64 { return c.memory / 2 }

// cgroupLimits are those of this process's cgroup.
func cgroupLimits(directory string) (c container, err error) {
	cpu, cpuErr := cgroupLimit(directory, "cpu.max")
	memory, memoryErr := cgroupLimit(directory, "memory.max")

	if len(cpu) == 2 && cpu[1] > 0 {
		c.processors = cpu[0] / cpu[1]
	}
	if len(memory) == 1 {
		c.memory = int64(memory[0])
	}
	return c, errors.Join(cpuErr, memoryErr)
}

// cgroupLimit reads the numbers of a file: none if there is no limit. The first one of a file without is "max".
func cgroupLimit(directory, name string) (numbers []float64, err error) {
	path := filepath.Join(directory, name)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil // no cgroup of version 2: nothing is limited that way
	}

	for field := range strings.FieldsSeq(string(text)) {
		if field == "max" {
			return nil, nil
		}
		number, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return nil, fmt.Errorf("read %s: %q: %w", path, text, err)
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

// ecsTask is what ECS says of the task that this recorder runs in, its limits in processors and MiB.
type ecsTask struct {
	Cluster, ServiceName, Family, Revision string
	Limits                                 struct{ CPU, Memory float64 }
}

// readTask asks the metadata endpoint.
func readTask(ctx context.Context, metadata string) (task ecsTask, err error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, metadata+"/task", nil)
	if err != nil {
		return task, fmt.Errorf("ask for task metadata: %w", err)
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return task, fmt.Errorf("ask for task metadata: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return task, fmt.Errorf("ask for task metadata: %s", response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(&task); err != nil {
		return task, fmt.Errorf("read task metadata: %w", err)
	}
	return task, nil
}
