package stream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// ConnectConfig says how to reach NATS and how to sign in there.
type ConnectConfig struct {
	URL  string // one or more, comma separated
	Name string // shown in the server's list of connections

	Creds       Document // a credentials document: a user's JWT and seed
	NKey        Document // the seed of an nkey
	CA          Document // certificates of authorities, PEM; without it the system's
	Certificate Document // the client's certificate, PEM
	Key         Document // and its key, PEM

	Domain string // of JetStream; "" for the server's own
	// InboxPrefix begins the subjects of answers, "_INBOX" without it. Users whose
	// inboxes have different prefixes cannot read each other's answers.
	InboxPrefix string
}

// Document is a secret or certificate: a file, or the text itself. Platforms hand
// secrets out as values of variables.
type Document struct {
	Name    string // what a message calls it: the variable
	Path    string
	Content string
}

func (d Document) empty() bool { return d.Path == "" && d.Content == "" }

func (d Document) read() ([]byte, error) {
	if d.Path != "" && d.Content != "" {
		return nil, fmt.Errorf("%s and %s_CONTENT: only one of them can be set", d.Name, d.Name)
	}
	if d.Content != "" {
		return []byte(d.Content), nil
	}
	data, err := os.ReadFile(d.Path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Name, err)
	}
	return data, nil
}

// Validate returns every rule the configuration breaks. It repeats no part of a
// secret.
func (c ConnectConfig) Validate() error {
	_, err := c.hosts()
	_, optionsErr := c.options()
	return errors.Join(err, optionsErr)
}

// hosts returns the addresses of the servers without credentials. An address
// that cannot be read is refused without being repeated: what looks like a host
// may be a part of a password.
func (c ConnectConfig) hosts() ([]string, error) {
	var hosts []string
	credentials := 0
	list := strings.Split(c.URL, ",")
	for i, raw := range list {
		raw = strings.TrimSpace(raw)
		if !strings.Contains(raw, "://") {
			raw = "nats://" + raw
		}
		u, err := url.Parse(raw)
		if err != nil || u.Hostname() == "" || hidesCredentials(u) {
			return nil, fmt.Errorf("NATS_URL: address %d of %d cannot be read. It is nats://user:password@host:port; "+
				"write characters of the password that are not letters or digits as %%XX", i+1, len(list))
		}
		if u.User != nil {
			credentials++
		}
		hosts = append(hosts, u.Host)
	}
	if credentials > 0 && credentials < len(hosts) {
		return nil, errors.New("NATS_URL: some addresses have a user and others have none. Write a comma in a password as %2C, and the user into every address")
	}
	return hosts, nil
}

// hidesCredentials reports whether an unescaped character of a password has ended
// the host early.
func hidesCredentials(u *url.URL) bool {
	return strings.Contains(u.Path+u.RawQuery+u.Fragment+u.Host, "@") || u.Fragment != "" || u.RawQuery != ""
}

// secrets returns what must not appear in any message.
func (c ConnectConfig) secrets() []string {
	var secrets []string
	for raw := range strings.SplitSeq(c.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(raw))
		if err != nil || u.User == nil {
			continue
		}
		password, hasPassword := u.User.Password()
		if !hasPassword { // a token
			password = u.User.Username()
		}
		for _, s := range []string{u.User.String(), password} {
			if s != "" {
				secrets = append(secrets, s)
			}
		}
	}
	return secrets
}

// options returns what signs in and how the connection is secured.
func (c ConnectConfig) options() ([]nats.Option, error) {
	var options []nats.Option
	secure, err := c.tls()
	if err == nil && secure != nil {
		options = append(options, nats.Secure(secure))
	}
	creds, credsErr := c.signIn()
	if creds != nil {
		options = append(options, creds)
	}
	if c.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	return options, errors.Join(err, credsErr)
}

func (c ConnectConfig) signIn() (nats.Option, error) {
	switch {
	case !c.Creds.empty() && !c.NKey.empty():
		return nil, errors.New("NATS_CREDS and NATS_NKEY: only one of them can be set")
	case !c.Creds.empty():
		document, err := c.Creds.read()
		if err != nil {
			return nil, err
		}
		_, jwtErr := nkeys.ParseDecoratedJWT(document)
		_, seedErr := nkeys.ParseDecoratedUserNKey(document)
		if jwtErr != nil || seedErr != nil {
			return nil, fmt.Errorf("%s: not a credentials document (a user's JWT and seed, as NATS writes it)", c.Creds.Name)
		}
		if c.Creds.Content == "" {
			return nats.UserCredentials(c.Creds.Path), nil // read again at each connection
		}
		return nats.UserCredentialBytes(document), nil
	case !c.NKey.empty():
		seed, err := c.NKey.read()
		if err != nil {
			return nil, err
		}
		return nkeyOption(c.NKey.Name, seed)
	}
	return nil, nil //nolint:nilnil // no option is a valid answer: the URL signs in
}

func nkeyOption(name string, document []byte) (nats.Option, error) {
	pair, err := nkeys.ParseDecoratedNKey(document)
	if err != nil {
		return nil, fmt.Errorf("%s: not the seed of an nkey (it begins with SU)", name)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("%s: not the seed of an nkey (it begins with SU)", name)
	}
	return nats.Nkey(public, pair.Sign), nil
}

// tls returns nil when neither an authority nor a certificate is given: the
// scheme of the address and the server then decide.
func (c ConnectConfig) tls() (*tls.Config, error) {
	if c.CA.empty() && c.Certificate.empty() && c.Key.empty() {
		return nil, nil //nolint:nilnil // no configuration is a valid answer
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if !c.CA.empty() {
		pem, err := c.CA.read()
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate in PEM found", c.CA.Name)
		}
	}
	if c.Certificate.empty() != c.Key.empty() {
		return nil, errors.New("NATS_CERT and NATS_KEY: both are needed, or neither")
	}
	if c.Certificate.empty() {
		return config, nil
	}
	certificate, err := c.Certificate.read()
	if err != nil {
		return nil, err
	}
	key, err := c.Key.read()
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, errors.New("NATS_CERT and NATS_KEY: not a certificate and its key in PEM")
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}
