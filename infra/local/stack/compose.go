package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// composition is infra/compose.yaml, as far as processes without containers need it.
type composition struct {
	Services map[string]composedService
}

type composedService struct {
	Entrypoint, Command []string
	Environment         map[string]string
}

// Composed is a system that is started as infra/compose.yaml says: with its arguments and its environment, but as
// processes of this machine. Names of services become addresses, ports free ones, and volumes directories.
type Composed struct {
	*Stack

	file  composition
	names *strings.Replacer
}

// StartCompose starts everything that a Compose file has. Stop must follow even if it fails.
func StartCompose(ctx context.Context, path string, o Options) (*Composed, error) {
	s, err := start(ctx, o)
	c := &Composed{Stack: s}
	if err != nil {
		return c, err
	}
	s.bucket = "recordings"

	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read Compose file: %w", err)
	}
	filled, err := interpolate(string(text), map[string]string{
		"LIVEKIT_API_KEY":    LiveKitKey,
		"LIVEKIT_API_SECRET": LiveKitSecret,
		"S3_ACCESS_KEY":      accessKey,
		"S3_SECRET_KEY":      secretKey,
		"S3_DIRECTORY":       Directory,
		"AUTO_RECORD":        o.AutoRecord,
		"LOG_LEVEL":          "debug",
	})
	if err != nil {
		return c, err
	}
	if err := yaml.Unmarshal([]byte(filled), &c.file); err != nil {
		return c, fmt.Errorf("read Compose file: %w", err)
	}
	if err := c.place(); err != nil {
		return c, err
	}
	return c, c.up(ctx)
}

// place decides where everything is on this machine.
func (c *Composed) place() error {
	var tcp, udp, metrics int
	if err := errors.Join(choose(&tcp), choose(&udp), choose(&metrics)); err != nil {
		return err
	}
	queues := filepath.Join(c.Work, "queues")
	if err := errors.Join(os.MkdirAll(queues, 0o755), os.MkdirAll(c.BucketRoot, 0o755)); err != nil {
		return fmt.Errorf("make volumes: %w", err)
	}

	address := func(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
	c.names = strings.NewReplacer(
		"http://queues:9324", c.SQS, "http://s3:7070", c.S3, "http://api:8080", c.API,
		"ws://127.0.0.1:7880", c.LiveKit, "127.0.0.1:9090", address(metrics),
		":9324", address(c.SQSPort), ":7070", address(c.S3Port), ":8080", address(c.APIPort),
		"port: 7880", "port: "+strconv.Itoa(c.LiveKitPort),
		"tcp_port: 7881", "tcp_port: "+strconv.Itoa(tcp), "udp_port: 7882", "udp_port: "+strconv.Itoa(udp),
		"/data/queues.json", filepath.Join(queues, "queues.json"), "/data", c.BucketRoot,
	)
	return nil
}

// up starts the services in the order in which they depend on each other.
func (c *Composed) up(ctx context.Context) error {
	bucket := c.placed(c.file.Services["bucket"].Command)
	if said, err := exec.CommandContext(ctx, bucket[0], bucket[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("make bucket: %w\n%s", err, said)
	}

	for _, service := range []struct{ name, program, answers string }{
		{"queues", filepath.Join(c.Binaries, "queues"), ""},
		{"s3", filepath.Join(c.Tools, "versitygw"), c.S3 + "/health"},
		{"api", filepath.Join(c.Binaries, "api"), c.API + "/health"},
		{"livekit", filepath.Join(c.Tools, "server"), local("http", c.LiveKitPort)},
	} {
		if _, err := c.run(service.name, service.program, nil); err != nil {
			return err
		}
		if service.answers == "" {
			continue
		}
		if err := c.awaitHTTP(ctx, service.answers); err != nil {
			return err
		}
	}

	ready := make(chan struct{})
	recorder, err := c.run("recorder", filepath.Join(c.Binaries, "recorder"), func(line string) bool {
		if !strings.Contains(line, `"recorder ready"`) {
			return false
		}
		close(ready)
		return true
	})
	if err != nil {
		return err
	}
	select {
	case <-ready:
		return nil
	case <-recorder.done:
		return fmt.Errorf("recorder ended at once: see %s", recorder.LogPath)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run starts a service.
func (c *Composed) run(name, program string, watch func(string) bool) (*Process, error) {
	service, ok := c.file.Services[name]
	if !ok {
		return nil, fmt.Errorf("the Compose file has no service %s", name)
	}
	if len(service.Entrypoint) > 0 && filepath.Base(service.Entrypoint[0]) != filepath.Base(program) {
		return nil, fmt.Errorf("the service %s runs %s", name, service.Entrypoint[0])
	}

	// The image's own.
	env := []string{"FFMPEG=" + filepath.Join(c.Tools, "ffmpeg"), "SCRATCH_DIR=" + filepath.Join(c.Work, "scratch")}
	for key, value := range service.Environment {
		env = append(env, key+"="+c.names.Replace(value))
	}
	return c.launch(name, watch, env, program, c.placed(service.Command)...)
}

func (c *Composed) placed(arguments []string) (placed []string) {
	for _, a := range arguments {
		placed = append(placed, c.names.Replace(a))
	}
	return placed
}

// RestartQueues kills the queue server, and starts it anew.
func (c *Composed) RestartQueues() error {
	n := slices.IndexFunc(c.processes, func(p *Process) bool { return p.Name == "queues" })
	c.processes[n].Kill()
	_, err := c.run("queues", filepath.Join(c.Binaries, "queues"), nil)
	return err
}

// variable is one of a Compose file, with what is to be done when it is not set ("Interpolation" in its specification).
var variable = regexp.MustCompile(`\$\{(\w+)(?::([-?])([^}]*))?\}`)

// interpolate fills in variables.
func interpolate(text string, values map[string]string) (string, error) {
	var missing []error
	filled := variable.ReplaceAllStringFunc(text, func(found string) string {
		part := variable.FindStringSubmatch(found)
		switch value := values[part[1]]; {
		case value != "":
			return value
		case part[2] == "?":
			missing = append(missing, fmt.Errorf("%s is not set: %s", part[1], part[3]))
		}
		return part[3]
	})
	return filled, errors.Join(missing...)
}
