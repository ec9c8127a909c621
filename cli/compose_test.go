package cli

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// composeFile is the part of docker-compose.yml that this program answers for.
type composeFile struct {
	Services map[string]struct {
		Image       string            `yaml:"image"`
		Command     []string          `yaml:"command"`
		Environment map[string]string `yaml:"environment"`
		Ports       []string          `yaml:"ports"`
		Volumes     []string          `yaml:"volumes"`
		DependsOn   map[string]any    `yaml:"depends_on"`
	} `yaml:"services"`
}

func compose(t *testing.T) composeFile {
	t.Helper()
	data, err := os.ReadFile("../docker-compose.yml")
	require.NoError(t, err)
	var c composeFile
	require.NoError(t, yaml.Unmarshal(data, &c))
	return c
}

// TestCompose holds each command line, variable, port and file of the compose
// file against what there is.
func TestCompose(t *testing.T) {
	t.Parallel()
	file := compose(t)
	roles := 0
	for name, service := range file.Services {
		for dependency := range service.DependsOn {
			require.Contains(t, file.Services, dependency, "%s depends on it", name)
		}
		for _, volume := range service.Volumes {
			if source, _, _ := strings.Cut(volume, ":"); strings.HasPrefix(source, "./") {
				_, err := os.Stat("../" + source)
				require.NoError(t, err, "mounted into %s", name)
			}
		}
		if service.Image != "lakepulse" {
			continue
		}
		roles++
		t.Run(name, func(t *testing.T) {
			var c commands
			parser, err := newParser(&c, io.Discard, io.Discard)
			require.NoError(t, err)
			_, err = parser.Parse(service.Command)
			require.NoError(t, err, "the command line is one of ours")
			var environ []string
			for key, value := range service.Environment {
				environ = append(environ, key+"="+value)
			}
			require.NoError(t, checkVariables(parser, environ))
			line := strings.Join(service.Command, " ")
			for _, port := range service.Ports {
				inside := port[strings.LastIndex(port, ":")+1:]
				require.Contains(t, line, "--listen 0.0.0.0:"+inside)
			}
		})
	}
	require.Equal(t, 6, roles, "migrate, log and the four roles")
}

// TestComposeSecrets keeps passwords out of the file: they come from outside,
// and are missed when they do not.
func TestComposeSecrets(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../docker-compose.yml")
	require.NoError(t, err)
	for _, line := range strings.Split(string(data), "\n") {
		if regexp.MustCompile(`(?i)password *[:=]|://[a-z_]+:`).MatchString(line) {
			require.Contains(t, line, ":?}", "a password is required from the environment")
		}
	}
}
