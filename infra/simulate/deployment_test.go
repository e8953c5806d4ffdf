package simulate

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// rehearsed is how many recorders a rehearsal has, with 30 recordings for each: so many are wanted for them.
	rehearsed = 10
	// deployWithin is how soon the newest version must have everything.
	deployWithin = 15 * time.Minute
)

// Ten recorders with 300 recordings move to another version. Nobody calls anything a disturbance: every frame has to be
// in a file, from the first to the last.
func TestADeploymentLosesNothing(t *testing.T) {
	rehearse(t, 30*rehearsed, func(t *testing.T, r *rollout) {
		began := time.Now()
		r.deploy(false)
		for r.count(1) > 0 && time.Since(began) < deployWithin {
			time.Sleep(reconcile)
		}
		t.Logf("after %s no old recorder was left; %d or more took starts", time.Since(began), r.least)
		require.Zero(t, r.count(1), "the deployment is over")
		require.Equal(t, rehearsed, r.count(2))
		require.GreaterOrEqual(t, r.least, rehearsed, "there were as many as are wanted all the time")
	})
}

// The recorders of the new version cannot do their work: each runs for half a minute. Those of the old one that record
// go on until the circuit breaker takes the version back.
func TestAVersionThatDoesNotWorkEndsNoRecording(t *testing.T) {
	rehearse(t, 4*rehearsed, func(t *testing.T, r *rollout) {
		before := r.protected()
		require.NotZero(t, before)
		r.deploy(true)
		time.Sleep(deployWithin)
		require.Equal(t, before, r.protected())
		r.takeBack()
	})
}

// rehearse has people recorded by ten recorders, while something happens, and looks at every frame.
func rehearse(t *testing.T, people int, happens func(*testing.T, *rollout)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, err := newFleet(Plan{Hosts: 3 * rehearsed, People: people})
		require.NoError(t, err)
		ending, stopped := make(chan struct{}), make(chan struct{})
		go f.pulse(ending)
		r := newRollout(f, rehearsed)
		go func() {
			defer close(stopped)
			r.run(ending)
		}()

		time.Sleep(reconcile)
		for _, name := range f.server.names {
			f.join(f.server.all[name], Hook{})
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(settling)
		happens(t, r)

		time.Sleep(time.Minute)
		f.everybodyLeaves()
		f.awaitQuiet()
		f.checkLeftovers()
		close(ending)
		<-stopped
		for _, h := range f.hosts {
			f.terminate(h)
		}
		time.Sleep(stopTimeout + 10*time.Second)
		result := f.check()
		t.Logf("%d of %d frames had to be in files", result.Checked, result.Frames)
		require.Greater(t, result.Checked, result.Frames*9/10)
		require.Empty(t, f.violations)
		close(f.over)
		f.quit()
	})
}
