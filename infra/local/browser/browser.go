// Package browser is a real Chromium that publishes into rooms and plays finished files, for the tests.
package browser

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

//go:embed publisher.html
var publisher []byte

//go:embed player.html
var player []byte

//go:embed run.js
var driver []byte

// Browser is a running Chromium. Its pages are served from a port of its own.
type Browser struct {
	server *httptest.Server
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	script string

	mu      sync.Mutex
	next    int
	waiting map[int]chan answer
	done    chan struct{}
}

type answer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

// Start starts Chromium. Modules is the directory with node_modules; files are what [Browser.Play] can play.
func Start(ctx context.Context, modules, files string) (*Browser, error) {
	b := &Browser{waiting: map[int]chan answer{0: make(chan answer, 1)}, done: make(chan struct{})}
	ready := b.waiting[0]
	script, err := os.CreateTemp("", "browser-*.js")
	if err != nil {
		return nil, fmt.Errorf("start browser: %w", err)
	}

	b.script = script.Name()
	_, err = script.Write(driver)
	if err = errors.Join(err, script.Close()); err != nil {
		return nil, fmt.Errorf("start browser: %w", err)
	}

	b.server = httptest.NewServer(pages(modules, files))
	b.cmd = exec.Command("node", b.script, modules)
	b.cmd.Stderr = os.Stderr
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdin, err1 := b.cmd.StdinPipe()
	stdout, err2 := b.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, b.cmd.Start()); err != nil {
		b.server.Close()
		return nil, fmt.Errorf("start browser: %w", err)
	}

	b.stdin = stdin
	go b.read(stdout)
	select {
	case <-ready:
		return b, nil
	case <-b.done:
		err = errors.New("it ended at once")
	case <-ctx.Done():
		err = ctx.Err()
	}

	b.Close()
	return nil, fmt.Errorf("start browser: %w", err)
}

func pages(modules, files string) http.Handler {
	mux := http.NewServeMux()
	page := func(content []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(content) // the page has been closed
		}
	}

	mux.HandleFunc("/publisher/", page(publisher))
	mux.HandleFunc("/player/", page(player))
	mux.HandleFunc("/livekit-client.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(modules, "node_modules", "livekit-client", "dist", "livekit-client.umd.js"))
	})
	mux.HandleFunc("/livekit-client.e2ee.js", func(w http.ResponseWriter, r *http.Request) {
		worker := filepath.Join(modules, "node_modules", "livekit-client", "dist", "livekit-client.e2ee.worker.js")
		http.ServeFile(w, r, worker)
	})
	mux.Handle("/files/", http.StripPrefix("/files/", http.FileServer(http.Dir(files)))) // answers range requests
	return mux
}

func (b *Browser) read(stdout io.Reader) {
	defer close(b.done)
	scanner := bufio.NewScanner(stdout)
	for scanner.Scan() {
		var a answer
		if json.Unmarshal(scanner.Bytes(), &a) != nil {
			continue // something that a library printed
		}
		b.mu.Lock()
		if c := b.waiting[a.ID]; c != nil {
			c <- a
			delete(b.waiting, a.ID)
		}
		b.mu.Unlock()
	}
}

// call calls a function of a page, which is opened the first time. Its result goes to out.
func (b *Browser) call(ctx context.Context, page string, out any, function string, args ...any) error {
	encoded, err := json.Marshal(append([]any{}, args...)) // [] without arguments, not null
	if err != nil {
		return err
	}
	return b.ask(ctx, page, out, function, fmt.Sprintf("window.%s(...%s)", function, encoded))
}

// ask has an expression evaluated in a page, or the page loaded again if there is none. What is for errors.
func (b *Browser) ask(ctx context.Context, page string, out any, what, expression string) error {
	b.mu.Lock()
	b.next++
	id, c := b.next, make(chan answer, 1)
	b.waiting[id] = c
	b.mu.Unlock()
	request, err := json.Marshal(map[string]any{
		"id": id, "page": b.server.URL + page, "call": expression,
	})
	if err != nil {
		return err
	}

	if _, err := b.stdin.Write(append(request, '\n')); err != nil {
		return fmt.Errorf("%s in browser: %w", what, err)
	}

	select {
	case a := <-c:
		if a.Error != "" {
			return fmt.Errorf("%s in browser: %s", what, a.Error)
		}
		if out == nil || len(a.Result) == 0 {
			return nil
		}
		return json.Unmarshal(a.Result, out)
	case <-b.done:
		return errors.New("the browser has ended")
	case <-ctx.Done():
		return fmt.Errorf("%s in browser: %w", what, ctx.Err())
	}
}

// Publish joins a room in a page of that name and publishes the test signal in a codec, with the scalability mode of
// SVC codecs or without.
func (b *Browser) Publish(ctx context.Context, name, url, token, codec, mode string) error {
	var scalability any
	if mode != "" {
		scalability = mode
	}
	return b.call(ctx, "/publisher/"+name, nil, "publish", url, token, codec, scalability)
}

// Encrypt has what a page publishes end-to-end encrypted, or not any more, by LiveKit's own client. It must be called
// before [Browser.Publish], and may be again: then tracks are published anew.
func (b *Browser) Encrypt(ctx context.Context, name string, encrypted bool) error {
	return b.call(ctx, "/publisher/"+name, nil, "encrypt", encrypted)
}

// Mute mutes or unmutes the camera.
func (b *Browser) Mute(ctx context.Context, name string, muted bool) error {
	return b.call(ctx, "/publisher/"+name, nil, "mute", muted)
}

// Resize changes the camera's picture size.
func (b *Browser) Resize(ctx context.Context, name string, width, height int) error {
	return b.call(ctx, "/publisher/"+name, nil, "resize", width, height)
}

// Quality publishes layers up to LOW, MEDIUM or HIGH only.
func (b *Browser) Quality(ctx context.Context, name, quality string) error {
	return b.call(ctx, "/publisher/"+name, nil, "quality", quality)
}

// Simulate makes the page's connection fail in one of the client's scenarios: signal-reconnect, full-reconnect, …
func (b *Browser) Simulate(ctx context.Context, name, scenario string) error {
	return b.call(ctx, "/publisher/"+name, nil, "simulate", scenario)
}

// Reload loads a page again, as somebody does who reloads theirs in a call.
func (b *Browser) Reload(ctx context.Context, name string) error {
	return b.ask(ctx, "/publisher/"+name, nil, "reload", "")
}

// Leave leaves the room that a page is in. It returns for how long the page's sound stood still, in all: a browser that
// gets no processor in time sends it later from then on, and its timestamps do not show that.
func (b *Browser) Leave(ctx context.Context, name string) (stood time.Duration, err error) {
	var seconds float64
	err = b.call(ctx, "/publisher/"+name, &seconds, "leave")
	return time.Duration(seconds * float64(time.Second)), err
}

// Playback is what Chromium made of a file.
type Playback struct {
	Duration float64 `json:"duration"` // seconds
	LoadedIn float64 `json:"loadedIn"` // seconds until the first picture, or the first sound could be played
	Width    int     `json:"width"`
	Height   int     `json:"height"`
	SeekedTo float64 `json:"seekedTo"` // seconds: where a seek to the middle arrived
	PlayedTo float64 `json:"playedTo"` // seconds: how far it played from there
}

// Play opens a file by its path below the files directory, seeks to the middle and plays from there for a moment.
func (b *Browser) Play(ctx context.Context, path string) (p Playback, err error) {
	return p, b.call(ctx, "/player/", &p, "play", path)
}

// Close ends Chromium.
func (b *Browser) Close() {
	_ = b.stdin.Close() // the driver ends when its input does
	select {
	case <-b.done:
	case <-time.After(10 * time.Second):
		_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) // the whole group
	}
	_ = b.cmd.Wait() // how it ended does not matter
	b.server.Close()
	_ = os.Remove(b.script) // in a temporary directory
}

// EncoderDelay is how much later than its picture the sound of the test signal leaves the browser (28 to 43 ms were
// seen): a buffer of the audio graph, 10 ms pieces of audio processing and Opus' look-ahead of 6.5 ms.
const EncoderDelay = 35 * time.Millisecond
