package stream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/embedded"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// special are the characters that mean something in an address.
var special = []string{"@", ":", "/", "?", "#", "%", "[", "]", " ", ",", "&", "\""}

// serve runs a NATS server with options of the test's own on a fixed port.
func serve(t *testing.T, port int, adjust func(*server.Options)) (stop func()) {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()}
	if adjust != nil {
		adjust(o)
	}
	s, err := server.NewServer(o)
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(30*time.Second))
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			s.Shutdown()
			s.WaitForShutdown()
		}
	}
	t.Cleanup(stop)
	return stop
}

func open(t *testing.T, cfg stream.ConnectConfig) *stream.Link {
	t.Helper()
	link, err := stream.Open(cfg, testkit.Logger(t))
	require.NoError(t, err)
	t.Cleanup(link.Conn().Close)
	return link
}

func awaitTrouble(t *testing.T, link *stream.Link, parts ...string) {
	t.Helper()
	testkit.Eventually(t, "the trouble "+strings.Join(parts, " … "), func() bool {
		err := link.Trouble()
		for _, part := range parts {
			if err == nil || !strings.Contains(err.Error(), part) {
				return false
			}
		}
		return true
	})
}

func awaitConnection(t *testing.T, link *stream.Link) {
	t.Helper()
	testkit.EventuallyOK(t, "the connection", link.Trouble)
}

func user(name, password string) func(*server.Options) {
	return func(o *server.Options) { o.Username, o.Password = name, password }
}

// TestLinkNeverGivesUp: each refusal that can be mended while a process runs, at
// its start and later.
func TestLinkNeverGivesUp(t *testing.T) {
	t.Parallel()
	ca := authority(t)
	refusals := map[string]struct {
		wrong, right func(*server.Options) // how the server runs; nil inside for not at all
		away         bool
		scheme       string
		cause        string
	}{
		"another password":            {wrong: user("ingest", "other"), right: user("ingest", "secret"), scheme: "nats", cause: "Authorization Violation"},
		"a server that is away":       {away: true, right: user("ingest", "secret"), scheme: "nats", cause: "refused"},
		"TLS to a plain server":       {wrong: user("ingest", "secret"), right: ca.secure(t, user("ingest", "secret")), scheme: "tls", cause: "secure connection not available"},
		"an unknown authority":        {wrong: authority(t).secure(t, user("ingest", "secret")), right: ca.secure(t, user("ingest", "secret")), scheme: "tls", cause: "certificate"},
		"a server full of clients":    {wrong: func(o *server.Options) { user("ingest", "secret")(o); o.MaxConn = -1 }, right: user("ingest", "secret"), scheme: "nats", cause: "cannot reach"}, // the server says why and hangs up at once: either may be read first
		"an account without its user": {wrong: user("writer", "secret"), right: user("ingest", "secret"), scheme: "nats", cause: "Authorization Violation"},
	}
	for name, r := range refusals {
		for _, when := range []string{"at the start", "later"} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				port := testkit.FreePort(t)
				cfg := stream.ConnectConfig{URL: r.scheme + "://ingest:secret@127.0.0.1:" + strconv.Itoa(port)}
				if r.scheme == "tls" {
					cfg.CA = stream.Document{Name: "NATS_CA", Content: ca.pem}
				}
				stop := func() {}
				if when == "later" {
					stop = serve(t, port, r.right)
				} else if !r.away {
					stop = serve(t, port, r.wrong)
				}
				link := open(t, cfg)
				if when == "later" {
					awaitConnection(t, link)
					stop()
					if !r.away {
						stop = serve(t, port, r.wrong)
					}
				}
				awaitTrouble(t, link, "127.0.0.1:"+strconv.Itoa(port), r.cause)
				require.NotContains(t, link.Trouble().Error(), "secret@")
				stop()
				serve(t, port, r.right)
				awaitConnection(t, link)
			})
		}
	}
	t.Run("a host that does not exist", func(t *testing.T) {
		t.Parallel()
		link := open(t, stream.ConnectConfig{URL: "nats://ingest:secret@no-such-host.invalid:4222"})
		awaitTrouble(t, link, "no-such-host.invalid:4222", "no such host")
	})
}

// TestSecretsInAddresses: a character that should have been escaped is refused
// without a word of what it is in.
func TestSecretsInAddresses(t *testing.T) {
	t.Parallel()
	const front, back = "Fr0ntPart", "B4ckPart"
	for _, c := range special {
		for _, shape := range []string{"nats://ingest:%s@127.0.0.1:1", "nats://%s@127.0.0.1:1", "tls://u:%s@a:1,tls://u:%s@b:1"} {
			raw := strings.ReplaceAll(shape, "%s", front+c+back)
			escaped := strings.ReplaceAll(shape, "%s", front+strings.ReplaceAll(url.QueryEscape(c), "+", "%20")+back)
			t.Run(c+" in "+shape, func(t *testing.T) {
				t.Parallel()
				if err := (stream.ConnectConfig{URL: raw}).Validate(); err != nil {
					requireSilent(t, err.Error(), front, back)
					require.Contains(t, err.Error(), "NATS_URL")
				} else { // it can be read as meant; the cause of the failure must be silent as well
					_, err := stream.Open(stream.ConnectConfig{URL: raw}, testkit.Logger(t), nats.RetryOnFailedConnect(false))
					require.Error(t, err)
					requireSilent(t, err.Error(), front, back)
				}
				require.NoError(t, stream.ConnectConfig{URL: escaped}.Validate())
			})
		}
	}
	t.Run("a document that is none", func(t *testing.T) {
		t.Parallel()
		for name, cfg := range map[string]stream.ConnectConfig{
			"NATS_CREDS": {Creds: stream.Document{Name: "NATS_CREDS", Content: front}},
			"NATS_NKEY":  {NKey: stream.Document{Name: "NATS_NKEY", Content: front}},
			"NATS_CA":    {CA: stream.Document{Name: "NATS_CA", Content: front}},
			"NATS_CERT":  {Certificate: stream.Document{Name: "NATS_CERT", Content: front}, Key: stream.Document{Name: "NATS_KEY", Content: back}},
		} {
			cfg.URL = "nats://127.0.0.1:1"
			err := cfg.Validate()
			require.ErrorContains(t, err, name)
			requireSilent(t, err.Error(), front, back)
		}
	})
}

func requireSilent(t *testing.T, text string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		require.NotContains(t, text, s)
	}
}

// TestSignIn: the ways companies let clients into NATS, each from a file and as text.
func TestSignIn(t *testing.T) {
	t.Parallel()
	file := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "document")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	ca := authority(t)
	pair, err := nkeys.CreateUser()
	require.NoError(t, err)
	seed, err := pair.Seed()
	require.NoError(t, err)
	public, err := pair.PublicKey()
	require.NoError(t, err)

	t.Run("an nkey", func(t *testing.T) {
		t.Parallel()
		port := testkit.FreePort(t)
		serve(t, port, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} })
		address := "nats://127.0.0.1:" + strconv.Itoa(port)
		awaitConnection(t, open(t, stream.ConnectConfig{URL: address, NKey: stream.Document{Name: "NATS_NKEY", Content: string(seed)}}))
		awaitConnection(t, open(t, stream.ConnectConfig{URL: address, NKey: stream.Document{Name: "NATS_NKEY", Path: file(t, string(seed))}}))
		awaitTrouble(t, open(t, stream.ConnectConfig{URL: address}), "Authorization Violation")
	})
	t.Run("a client's certificate of an authority of one's own", func(t *testing.T) {
		t.Parallel()
		port := testkit.FreePort(t)
		serve(t, port, func(o *server.Options) {
			ca.secure(t, nil)(o)
			o.TLSConfig.ClientAuth, o.TLSConfig.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool
		})
		certificate, key := ca.issue(t, "client")
		cfg := stream.ConnectConfig{URL: "tls://127.0.0.1:" + strconv.Itoa(port), CA: stream.Document{Name: "NATS_CA", Content: ca.pem}}
		awaitTrouble(t, open(t, cfg), "certificate")
		cfg.Certificate = stream.Document{Name: "NATS_CERT", Content: certificate}
		require.ErrorContains(t, cfg.Validate(), "NATS_KEY")
		cfg.Key = stream.Document{Name: "NATS_KEY", Path: file(t, key)}
		awaitConnection(t, open(t, cfg))
	})
	t.Run("a JetStream domain", func(t *testing.T) {
		t.Parallel()
		port := testkit.FreePort(t)
		serve(t, port, func(o *server.Options) { o.JetStreamDomain = "hub" })
		link := open(t, stream.ConnectConfig{URL: "nats://127.0.0.1:" + strconv.Itoa(port)})
		awaitConnection(t, link)
		js, err := link.JetStream("hub")
		require.NoError(t, err)
		topology := stream.DefaultTopology()
		require.NoError(t, topology.Reconcile(t.Context(), js))
		require.NoError(t, stream.NewPublisher(js).Publish(t.Context(), eventtest.Usage("shop", 3, at), ""))
		require.Len(t, read(t, js, topology), 1)
	})
}

func TestSmallMaxPayload(t *testing.T) {
	t.Parallel()
	small := func(bytes int32) testkit.NATSOption {
		return func(cfg *embedded.NATSConfig) {
			cfg.Adjust = func(o *server.Options) { o.MaxPayload = bytes }
		}
	}
	t.Run("batches are split by what the server takes", func(t *testing.T) {
		t.Parallel()
		topology := stream.DefaultTopology()
		js := connect(t, testkit.NATS(t, small(64<<10)).URL())
		require.NoError(t, topology.Reconcile(t.Context(), js))
		batch := eventtest.Usage("shop", 1000, at)
		for i := range batch.Usage {
			batch.Usage[i].Metadata = []byte(`{"note":"` + strings.Repeat("x", 4000) + `"}`)
		}
		require.NoError(t, stream.NewPublisher(js).Publish(t.Context(), batch, strings.Repeat("c", 100)))
		require.ElementsMatch(t, eventtest.IDs(batch), idsOf(t, read(t, js, topology)))
	})
	t.Run("an event that never fits is not called a passing fault", func(t *testing.T) {
		t.Parallel()
		topology := stream.DefaultTopology()
		js := connect(t, testkit.NATS(t, small(4<<10)).URL())
		require.NoError(t, topology.Reconcile(t.Context(), js))
		batch := eventtest.Usage("shop", 1, at)
		batch.Usage[0].Metadata = []byte(`{"note":"` + strings.Repeat("x", 6000) + `"}`)
		err := stream.NewPublisher(js).Publish(t.Context(), batch, "")
		require.Equal(t, fault.TooLarge, fault.CodeOf(err), "%v", err)
	})
}

// ca is a certificate authority of a test.
type ca struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	pem         string
	pool        *x509.CertPool
}

func authority(t *testing.T) ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return ca{key, certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), pool}
}

// issue returns a certificate and its key, for a server on loopback or a client.
func (c ca) issue(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, c.certificate, &private.PublicKey, c.key)
	require.NoError(t, err)
	encoded, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}))
}

// secure returns server options with TLS by this authority.
func (c ca) secure(t *testing.T, more func(*server.Options)) func(*server.Options) {
	t.Helper()
	certificate, key := c.issue(t, "server")
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	require.NoError(t, err)
	return func(o *server.Options) {
		if more != nil {
			more(o)
		}
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
		o.TLSTimeout = 5
	}
}
