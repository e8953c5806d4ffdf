package simulate

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/price"
)

const (
	// settling is how long people have been there before an hour is counted, and what is counted behind their going. It is
	// no multiple of what anything is done every so often: chance would decide on which side of its end that comes.
	settling = 5*time.Minute + 30*time.Second
	// realPart is the size of the first parts, in bytes (recorder/upload): a camera of 1.75 Mbit/s with its sound fills one
	// in 77 seconds, a microphone alone, with 40 kbit/s, in 56 minutes. Simulated frames are smaller, so simulated parts
	// are, too.
	realPart        = 16 << 20
	cameraBytes     = 1.75e6 / 8
	microphoneBytes = 40e3 / 8
	frameBytes      = recordSize + stampSize
)

// requests are those of one recorder in an hour in which nothing goes wrong, and those that are made because somebody
// comes and goes, per recording.
type requests struct{ hour, once price.Counts }

// hourOf counts the requests of an hour of so many recordings, each of one person, in virtual time.
func hourOf(t *testing.T, people int, target string) (counted requests) {
	t.Helper()
	counter := &price.Counter{}
	counted.play(t, counter, people, target)
	return counted
}

func (r *requests) play(t *testing.T, counter *price.Counter, people int, target string) {
	t.Helper()
	before := product
	defer func() { product = before }()
	product = Product{Function: real.Function, Recorder: func(m Machine) (Recorder, error) {
		m.Cloud = m.Cloud.counted(counter, target)
		return real.Recorder(m)
	}}

	synctest.Test(t, func(t *testing.T) {
		f, err := newFleet(Plan{Hosts: 1, People: people})
		require.NoError(t, err)
		ending := make(chan struct{})
		go f.pulse(ending)
		f.boot(f.hosts[0], false)
		time.Sleep(settling)
		idle := counter.Counts()
		time.Sleep(settling)
		idle = counter.Counts().Minus(idle)

		came := counter.Counts()
		for _, name := range f.server.names {
			p := f.server.all[name]
			if target == "audio" { // asked for over REST: the webhook begins a recording of everything
				f.join(p, Hook{Never: true})
				go f.front.start(p.room, p.identity, target)
			} else {
				f.join(p, Hook{})
			}
		}
		time.Sleep(settling)
		began := counter.Counts()
		time.Sleep(time.Hour)
		hour := counter.Counts()
		f.everybodyLeaves()
		time.Sleep(settling)
		gone := counter.Counts()

		f.awaitQuiet()
		require.Empty(t, f.violations)
		require.Len(t, f.gather().documents, people)
		for id, document := range f.gather().documents {
			require.True(t, document.Final(), id)
			require.Len(t, document.Parts, 1)
		}

		f.terminate(f.hosts[0])
		time.Sleep(stopTimeout + 10*time.Second)
		close(ending)
		close(f.over)
		f.quit()

		r.hour = hour.Minus(began)
		steady := r.hour.Times(settling.Hours()).Plus(idle) // in the minutes before and behind the hour
		r.once = began.Minus(came).Plus(gone.Minus(hour)).Minus(steady)
	})
	r.hour = r.hour.Times(1 / float64(people))
	r.once = r.once.Times(1 / float64(people))
}

// counted is the same cloud, with every attempt at a request counted, and parts in proportion to what is recorded.
func (c Cloud) counted(counter *price.Counter, target string) Cloud {
	c.MinimumPart = int64(realPart / cameraBytes * 2 * frameBytes / frameInterval.Seconds())
	if target == "audio" {
		c.MinimumPart = int64(realPart / microphoneBytes * frameBytes / frameInterval.Seconds())
	}
	counting := func(of func(*http.Request) price.Operation, next httpClient) countingClient {
		return countingClient{counter, of, next}
	}
	c.S3 = s3.New(c.S3.Options(), func(o *s3.Options) { o.HTTPClient = counting(price.OfS3, o.HTTPClient) })
	c.Small = s3.New(c.Small.Options(), func(o *s3.Options) { o.HTTPClient = counting(price.OfS3, o.HTTPClient) })
	c.SQS = awssqs.New(c.SQS.Options(), func(o *awssqs.Options) {
		o.HTTPClient = counting(price.OfSQS, o.HTTPClient)
	})
	return c
}

// countingClient counts what it hands on.
type countingClient struct {
	counter *price.Counter
	of      func(*http.Request) price.Operation
	next    httpClient
}

type httpClient interface {
	Do(*http.Request) (*http.Response, error)
}

// Do implements what the AWS SDK asks of an HTTP client.
func (c countingClient) Do(r *http.Request) (*http.Response, error) {
	c.counter.Count(c.of(r))
	return c.next.Do(r)
}

func (r requests) log(t *testing.T) {
	t.Helper()
	for _, o := range price.Operations(r.hour, r.once) {
		t.Logf("%-40s %8.1f an hour %8.1f once", o, r.hour[o], r.once[o])
	}
	for what, of := range map[string]func(price.Operation) bool{
		"PUTs": price.Operation.Writes, "GETs": price.Operation.Reads, "deletes": price.Operation.Deletes,
	} {
		t.Logf("%-40s %8.1f an hour %8.1f once", "all "+what, r.hour.Sum(of), r.once.Sum(of))
	}
	t.Logf("%-40s %8.1f an hour %8.1f once", "PUTs beside the journal", r.hour.Sum(notJournal), r.once.Sum(notJournal))
	t.Logf("%.5f dollars an hour, %.5f once", r.hour.Dollars(), r.once.Dollars())
}

// Requests cost more than processors when nobody looks after them. Whoever makes the recorder ask for more has to say
// so here. Each number is what was counted, and what chance adds to that.
func TestWhatAnHourAsksOfAWS(t *testing.T) {
	for _, c := range []struct {
		name, target string
		people       int
		most         bounds
	}{
		{"one person", "", 1, bounds{journal: 727, parts: 49, puts: 13, gets: 130, sqs: 880}},
		{"20 people", "", 20, bounds{journal: 37, parts: 49, puts: 13, gets: 130, sqs: 68}},
		{"one microphone", "audio", 1, bounds{journal: 727, parts: 4, puts: 2, gets: 130, sqs: 880}},
		{"20 microphones", "audio", 20, bounds{journal: 37, parts: 4, puts: 2, gets: 130, sqs: 68}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := hourOf(t, c.people, c.target)
			r.log(t)
			r.within(t, c.most)
		})
	}
}

// bounds are the most requests that an hour of one of the recordings may take.
type bounds struct {
	journal float64 // of what is in no uploaded part yet: an entry every 5 seconds, and a sweep every ten minutes
	parts   float64 // to make media objects
	puts    float64 // of ledger, documents and index
	gets    float64
	sqs     float64
}

// Those for the coming and going of each recording, the journal apart. Of the PUTs, 13 were counted for cameras, and 15
// for microphones: 4 of the ledger (claimed, seen, left, closed), 4 under .recordings, 3 of documents (reserved,
// recorded, ended), and those of media. Of the requests of SQS, those that are not made anyway, every so often.
const mostPutsOnce, mostGetsOnce, mostSQSOnce = 15, 28, 6

func notJournal(o price.Operation) bool { return o.Writes() && o.Of != ".journal" }

func (r requests) within(t *testing.T, most bounds) {
	t.Helper()
	rest := func(o price.Operation) bool { return o.Of == ".journal" && o.Writes() }
	media := func(o price.Operation) bool { return o.Of == "media" && o.Writes() }
	puts := func(o price.Operation) bool { return o.Writes() && !rest(o) && !media(o) }
	queues := func(o price.Operation) bool { return o.Service == price.SQS }
	single := func(o price.Operation) bool {
		return queues(o) && o.Call != "ReceiveMessage" && o.Call != "ChangeMessageVisibilityBatch" &&
			o.Call != "GetQueueAttributes"
	}

	require.LessOrEqual(t, r.hour.Sum(rest), most.journal)
	require.LessOrEqual(t, r.hour.Sum(media), most.parts)
	require.LessOrEqual(t, r.hour.Sum(puts), most.puts)
	require.LessOrEqual(t, r.hour.Sum(price.Operation.Reads), most.gets)
	require.LessOrEqual(t, r.hour.Sum(queues), most.sqs)

	require.LessOrEqual(t, r.once.Sum(notJournal), float64(mostPutsOnce))
	require.LessOrEqual(t, r.once.Sum(price.Operation.Reads), float64(mostGetsOnce))
	require.LessOrEqual(t, r.once.Sum(single), float64(mostSQSOnce))

	// Nothing that is asked of AWS has no price here.
	for _, o := range price.Operations(r.hour, r.once) {
		require.NotContains(t, o.String(), "?")
	}
}
