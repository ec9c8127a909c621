package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/services"
)

// natsServer says how to reach NATS outside. Each file can also be given as text, in
// the variable with the suffix _CONTENT, because platforms pass secrets as values.
type natsServer struct {
	NATSURL         string `name:"nats" help:"NATS servers, comma separated." env:"NATS_URL" placeholder:"URL"`
	NATSCreds       string `name:"nats-creds" help:"NATS credentials file; as text: NATS_CREDS_CONTENT." env:"NATS_CREDS" placeholder:"FILE"`
	NATSNKey        string `name:"nats-nkey" help:"File with the seed of an nkey; as text: NATS_NKEY_CONTENT." env:"NATS_NKEY" placeholder:"FILE"`
	NATSCA          string `name:"nats-ca" help:"PEM file with the CA certificates that sign the server's certificate; as text: NATS_CA_CONTENT." env:"NATS_CA" placeholder:"FILE"`
	NATSCert        string `name:"nats-cert" help:"PEM file with the client certificate; as text: NATS_CERT_CONTENT." env:"NATS_CERT" placeholder:"FILE"`
	NATSKey         string `name:"nats-key" help:"PEM file with the key of the client certificate; as text: NATS_KEY_CONTENT." env:"NATS_KEY" placeholder:"FILE"`
	NATSDomain      string `name:"nats-domain" help:"JetStream domain, for a server that is a leaf node." env:"NATS_DOMAIN" placeholder:"NAME"`
	NATSInboxPrefix string `name:"nats-inbox-prefix" help:"Prefix of the subjects of answers; _INBOX.<role> by default." env:"NATS_INBOX_PREFIX" placeholder:"PREFIX"`
}

// config returns the connection that the flags and variables describe.
func (f *natsServer) config(getenv func(string) string, name string) stream.ConnectConfig {
	document := func(variable, path string) stream.Document {
		return stream.Document{Name: variable, Path: path, Content: getenv(variable + "_CONTENT")}
	}
	prefix := f.NATSInboxPrefix
	if prefix == "" {
		prefix = "_INBOX." + name
	}
	return stream.ConnectConfig{
		URL: f.NATSURL, Name: "lakepulse " + name, Domain: f.NATSDomain, InboxPrefix: prefix,
		Creds: document("NATS_CREDS", f.NATSCreds), NKey: document("NATS_NKEY", f.NATSNKey), CA: document("NATS_CA", f.NATSCA),
		Certificate: document("NATS_CERT", f.NATSCert), Key: document("NATS_KEY", f.NATSKey),
	}
}

func (f *natsServer) apply(e *env, cfg *services.Config) error {
	cfg.NATS = f.config(e.getenv, string(cfg.Target))
	return nil
}

// natsFlags say how a tool reaches the event log.
type natsFlags struct {
	dataFlag   `embed:""`
	natsServer `embed:""`
}

// errNoLog says that no event log is named and none runs on the data directory.
var errNoLog = errors.New("no event log")

// settings returns the named event log, else that of a running standalone.
func (f *natsFlags) settings(e *env) (stream.ConnectConfig, error) {
	cfg := f.natsServer.config(e.getenv, "operator")
	if cfg.URL != "" {
		return cfg, nil
	}
	found, err := os.ReadFile(filepath.Join(f.DataDir, "nats.url"))
	if err != nil {
		return cfg, usageError(fmt.Errorf("%w: set NATS_URL, or start a standalone on %s", errNoLog, f.DataDir))
	}
	cfg.URL = strings.TrimSpace(string(found))
	return cfg, nil
}

// connect connects to the event log of settings. It fails after a few seconds without
// an answer.
func (f *natsFlags) connect(e *env) (*nats.Conn, jetstream.JetStream, error) {
	cfg, err := f.settings(e)
	if err != nil {
		return nil, nil, err
	}
	link, err := stream.Open(cfg, e.logger, nats.RetryOnFailedConnect(false), nats.Timeout(5*time.Second))
	if err != nil {
		return nil, nil, err
	}
	js, err := link.JetStream(cfg.Domain)
	if err != nil {
		link.Conn().Close()
		return nil, nil, err
	}
	return link.Conn(), js, nil
}
