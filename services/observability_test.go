package services_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services"
)

// series are the label names of each metric that a running process exports.
type series map[string]map[string]bool

var sample = regexp.MustCompile(`^(lakepulse_[a-z_]+)(?:\{(.*)\})? `)

// exported starts every role in one process, with real NATS and Postgres, and
// returns what it exports before anything happens: an alert on the first event of
// its kind needs a series from the start.
func exported(t *testing.T) series {
	t.Helper()
	cfg := outside(t, testkit.NATS(t).URL(), testkit.Database(t))
	run(t, services.All, cfg)
	await(t, cfg, "/ready", ready)
	await(t, cfg, "/api/v1/metrics/usage", ready) // durations are exported by route once one is asked
	response, err := http.Get("http://" + cfg.OpsListen + "/metrics")
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	found := series{}
	for line := range strings.SplitSeq(string(text), "\n") {
		match := sample.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		labels := found[match[1]]
		if labels == nil {
			labels = map[string]bool{}
			found[match[1]] = labels
		}
		for _, pair := range regexp.MustCompile(`([a-z_]+)="([^"]*)"`).FindAllStringSubmatch(match[2], -1) {
			labels[pair[1]] = true
			labels[pair[0]] = true
		}
	}
	return found
}

var (
	metricName = regexp.MustCompile(`(lakepulse_[a-z_]+)(?:\{([^}]*)\})?`)
	grouped    = regexp.MustCompile(`by \(([a-z_, ]+)\) \(.*?(lakepulse_[a-z_]+)`)
	matcher    = regexp.MustCompile(`([a-z_]+)(=~?)"([^"]*)"`)
	byScrape   = []string{"job", "instance"}                   // labels that Prometheus adds
	later      = map[string]bool{"lakepulse_table_rows": true} // exported with the first count of rows
)

// requireExported fails unless every metric and label of an expression is exported.
func requireExported(t *testing.T, n series, expr string) {
	t.Helper()
	for _, found := range metricName.FindAllStringSubmatch(expr, -1) {
		if later[found[1]] {
			continue
		}
		require.Contains(t, n, found[1], "not exported (in %s)", expr)
		for _, m := range matcher.FindAllStringSubmatch(found[2], -1) {
			if slices.Contains(byScrape, m[1]) {
				continue
			}
			for value := range strings.SplitSeq(m[3], "|") {
				require.Contains(t, n[found[1]], m[1]+`="`+value+`"`, "no such series (in %s)", expr)
			}
		}
	}
	for _, found := range grouped.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(found[1], ",") {
			if label = strings.TrimSpace(label); !later[found[2]] && !slices.Contains(byScrape, label) {
				require.Contains(t, n[found[2]], label, "no such label of %s (in %s)", found[2], expr)
			}
		}
	}
}

// TestObservability holds alerts and dashboard against the metrics of a running
// process, and the runbooks against the alerts.
func TestObservability(t *testing.T) {
	t.Parallel()
	n := exported(t)
	t.Run("alerts", func(t *testing.T) { requireAlerts(t, n) })
	t.Run("dashboard", func(t *testing.T) { requireDashboard(t, n) })
}

func requireAlerts(t *testing.T, n series) {
	data, err := os.ReadFile("../deploy/prometheus/lakepulse.rules.yml")
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Expr        string
				Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(data, &file))
	operations, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			requireExported(t, n, rule.Expr)
			require.Equal(t, "docs/operations.md#"+strings.ToLower(rule.Alert), rule.Annotations["runbook"])
			require.Contains(t, string(operations), "### "+rule.Alert+"\n", "its runbook")
		}
	}
}

func requireDashboard(t *testing.T, n series) {
	data, err := os.ReadFile("../deploy/grafana/lakepulse.json")
	require.NoError(t, err)
	var file struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(data, &file))
	require.NotEmpty(t, file.Panels)
	for _, panel := range file.Panels {
		for _, target := range panel.Targets {
			requireExported(t, n, target.Expr)
		}
	}
}
