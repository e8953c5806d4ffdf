package guard

import (
	"bytes"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

func TestAPanicIsAnErrorWithItsStackInTheLog(t *testing.T) {
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	require.NoError(t, Run(log, "count", func() {}))
	require.Empty(t, out.String())
	before := Caught()

	err := Run(log, "count", func() { var none []int; _ = none[3] })
	require.ErrorIs(t, err, ErrPanic)
	require.ErrorContains(t, err, "index out of range")
	require.Contains(t, out.String(), "guard_test.go")
	require.Equal(t, before+1, Caught())
}
