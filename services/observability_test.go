package services_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/aggregate"
	"github.com/lakepulse/lakepulse/services/ingest"
	"github.com/lakepulse/lakepulse/services/writer"
)

// names is a Registerer that keeps the names of what is registered.
type names map[string]bool

var fqName = regexp.MustCompile(`fqName: "([^"]+)"`)

func (n names) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc)
	go func() { c.Describe(descs); close(descs) }()
	for d := range descs {
		n[fqName.FindStringSubmatch(d.String())[1]] = true
	}
	return nil
}

func (n names) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = n.Register(c) // never fails
	}
}

func (n names) Unregister(prometheus.Collector) bool { return false }

// exported returns the names of every metric the roles export.
func exported(t *testing.T) names {
	t.Helper()
	n := names{}
	httpapi.NewHandler(httpapi.HandlerParams{Log: testkit.Logger(t), Registry: n})
	_, err := ingest.New(ingest.Params{Config: ingest.DefaultConfig(), Now: time.Now, Log: testkit.Logger(t), Registry: n})
	require.NoError(t, err)
	_, err = writer.New(writer.Params{Config: writer.DefaultConfig(), Now: time.Now, Log: testkit.Logger(t), Registry: n})
	require.NoError(t, err)
	_, err = aggregate.New(aggregate.Params{Config: aggregate.DefaultConfig(), Now: time.Now, Log: testkit.Logger(t), Registry: n})
	require.NoError(t, err)
	return n
}

var metricName = regexp.MustCompile(`lakepulse_[a-z_]+`)

func requireExported(t *testing.T, n names, expr string) {
	t.Helper()
	found := metricName.FindAllString(expr, -1)
	require.NotEmpty(t, found, expr)
	for _, name := range found {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if !n[base] {
				base = strings.TrimSuffix(name, suffix)
			}
		}
		require.True(t, n[base], "%s is not exported (in %s)", name, expr)
	}
}

// TestAlerts holds the alerts against the metrics there are and the runbooks
// against the alerts.
func TestAlerts(t *testing.T) {
	t.Parallel()
	n := exported(t)
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

func TestGrafanaDashboard(t *testing.T) {
	t.Parallel()
	n := exported(t)
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
