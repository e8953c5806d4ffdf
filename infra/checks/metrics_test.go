package checks

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/health"
	"livekit-recorder/recorder/metrics"
)

// prometheusNames are those of all our metrics.
func prometheusNames() []string {
	names := []string{health.Prefix + "build_info"}
	for _, m := range metrics.All() {
		names = append(names, health.Prefix+m.Name)
	}
	slices.Sort(names)
	return names
}

// used are the metrics of ours that a text names: of histograms without what Prometheus puts behind their names.
func used(text string) (names []string) {
	for _, name := range regexp.MustCompile(health.Prefix+`[a-z_]+`).FindAllString(text, -1) {
		for _, m := range metrics.All() {
			if m.Spread() != nil {
				name = regexp.MustCompile("^("+health.Prefix+m.Name+")_(bucket|sum|count)$").ReplaceAllString(name, "$1")
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// A dashboard with a metric that is no more is empty where it matters, and a metric that is in none is not looked at.
func TestDashboardShowsEveryMetricThereIs(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "infra", "grafana", "dashboard.json"))
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr string }
			GridPos struct{ X, Y, W, H int }
		}
	}
	require.NoError(t, json.Unmarshal(content, &dashboard))

	var queries []string
	ids := map[int]bool{}
	for _, panel := range dashboard.Panels {
		require.False(t, ids[panel.ID], "two panels have the same id: %s", panel.Title)
		ids[panel.ID] = true
		require.LessOrEqual(t, panel.GridPos.X+panel.GridPos.W, 24, panel.Title)
		require.True(t, panel.Type == "row" || len(panel.Targets) > 0, panel.Title)
		for _, target := range panel.Targets {
			queries = append(queries, target.Expr)
			// What is counted by a process begins anew with the next one.
			counted := regexp.MustCompile(health.Prefix+`[a-z_]+_total`).FindAllStringIndex(target.Expr, -1)
			for _, at := range counted {
				require.Regexp(t, `(rate|increase)\($`, target.Expr[:at[0]], panel.Title)
			}
		}
	}
	require.Equal(t, prometheusNames(), used(strings.Join(queries, " ")))
}

// METRICS.md has the table of all metrics, as the code describes them.
func TestEveryMetricIsDescribed(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "infra", "METRICS.md"))
	require.NoError(t, err)
	for _, m := range metrics.All() {
		require.Contains(t, string(content), describe(m))
	}
	require.Equal(t, prometheusNames(), used(string(content)))
}

// describe is a metric's row in the table.
func describe(m *metrics.Metric) string {
	kind := map[metrics.Kind]string{metrics.Counts: "counter", metrics.Level: "gauge", metrics.Spreads: "histogram"}[m.Kind]
	if len(m.Labels) > 0 {
		kind += ", by `" + strings.Join(m.Labels, "`, `") + "`"
	}
	var views []string
	for _, v := range m.Views {
		views = append(views, fmt.Sprintf("`%s` (%s)", v.Name, v.Unit))
	}
	return fmt.Sprintf("| `%s%s` | %s | %s | %s |\n", health.Prefix, m.Name, kind, strings.Join(views, ", "), m.Help)
}

// What alarms and dashboards of the template are about.
func TestCloudWatchGetsWhatItsAlarmsAreAbout(t *testing.T) {
	units := map[string]string{}
	for _, m := range metrics.All() {
		for _, v := range m.Views {
			require.Empty(t, units[v.Name], "two metrics have the same name: %s", v.Name)
			units[v.Name] = v.Unit
		}
	}
	for name, unit := range map[string]string{
		"Recordings": "Count", "Capacity": "Count", "Full": "Count", "CPU": "Percent", "ScratchBytes": "Bytes",
		"ScratchUsed": "Percent", "DroppedDatagrams": "Count", "Faults": "Count", "RecordingsCompleted": "Count",
		"RecordingsFailed": "Count", "UploadLag": "Seconds", "StartsTaken": "Count", "TakeOvers": "Count",
	} {
		require.Equal(t, unit, units[name], name)
	}
}
