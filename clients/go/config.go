package lakepulse

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/lakepulse/lakepulse/clients/go/rules"
)

// The defaults of Config.
const (
	DefaultTimeoutThreshold = 30 * time.Second
	DefaultMaxEndpoints     = 200
	DefaultBufferSize       = 16384
	DefaultBatchSize        = 500
	DefaultFlushInterval    = time.Second
	DefaultRequestTimeout   = 10 * time.Second
	DefaultRetryMin         = 500 * time.Millisecond
	DefaultRetryMax         = 30 * time.Second
)

// Config is everything a client can be told. The zero value of each field means
// its default; a Config with neither URL nor Sink makes a client that is off.
type Config struct {
	// URL is where ingest listens, such as http://127.0.0.1:8080.
	URL string
	// Key is the app's key (lp_…). A local standalone needs none.
	Key string
	// Authorize adds what a gateway before ingest asks for, such as the bearer
	// token of a service principal. It is called for every request to ingest, from
	// the background and from Relay, so it should cache its token.
	Authorize func(*http.Request) error
	// App is the app's name. With a Key it may stay empty: a key belongs to one
	// app. With a Sink it is required.
	App string
	// AppVersion is stored with every record, so that versions can be compared.
	AppVersion string
	// Instance names the process; default the host's name. A random part is added
	// in any case, because seq starts anew with each process.
	Instance string
	// Disabled turns everything off.
	Disabled bool

	// Route returns the route template of a request for routers that do not set
	// http.Request.Pattern; "" falls back to the pattern, then to the path. It is
	// called once the request has been served.
	Route func(*http.Request) string
	// User returns who sent the request, "" for nobody. Default: the header
	// X-Forwarded-Email, else X-Forwarded-User. It is called once the request has
	// been served.
	User func(*http.Request) string
	// Exclude holds paths not to record besides /health, /ready, /ping, /internal/*
	// and /admin/system/*. A * stands for anything, slashes too.
	Exclude []string
	// TimeoutThreshold is how long a request may run before it is recorded as a 504
	// with error type Timeout.
	TimeoutThreshold time.Duration
	// MaxEndpoints bounds the distinct endpoints named after their path, where no
	// template is known; the rest is {other}.
	MaxEndpoints int
	// Before sees every performance record before it leaves the process and may
	// edit it; false leaves it out. It runs in the background. A panic in it leaves
	// the record out and counts it as dropped.
	Before func(p *Performance, responseBytes int64) (keep bool)

	// BufferSize is how many records wait at most, rounded up to a power of two.
	// Of usage events an eighth as many do.
	BufferSize int
	// BatchSize is how many records are sent together, at most 1000.
	BatchSize int
	// FlushInterval is how long a record waits at most for a full batch.
	FlushInterval time.Duration
	// RequestTimeout bounds one attempt to send.
	RequestTimeout time.Duration
	// RetryMin and RetryMax bound the pause between attempts.
	RetryMin, RetryMax time.Duration
	// NoGzip sends batches as they are: less work where the network costs nothing.
	NoGzip bool
	// HTTPClient sends the requests, instead of one of our own.
	HTTPClient *http.Client
	// Sink takes the batches instead of ingest's HTTP endpoint.
	Sink Sink

	// DevUser is Relay's user where nobody is signed in, for work at one's desk.
	// Refused together with a Key.
	DevUser string
	// Logger hears of outages and refusals, each at most once a minute; nil is silent.
	Logger *slog.Logger
	// Clock is the time; default time.Now.
	Clock func() time.Time
}

// FromEnv returns a Config filled from LAKEPULSE_URL, LAKEPULSE_API_KEY,
// LAKEPULSE_APP, LAKEPULSE_APP_VERSION, LAKEPULSE_INSTANCE and
// LAKEPULSE_DEV_USER. Without a key and an app's name, DATABRICKS_APP_NAME is
// the name; with a key the key says which app this is, and a guess that
// differed would get every record refused.
func FromEnv() Config {
	cfg := Config{
		URL:        os.Getenv("LAKEPULSE_URL"),
		Key:        os.Getenv("LAKEPULSE_API_KEY"),
		App:        os.Getenv("LAKEPULSE_APP"),
		AppVersion: os.Getenv("LAKEPULSE_APP_VERSION"),
		Instance:   os.Getenv("LAKEPULSE_INSTANCE"),
		DevUser:    os.Getenv("LAKEPULSE_DEV_USER"),
	}
	if cfg.Key == "" {
		cfg.App = cmp.Or(cfg.App, os.Getenv("DATABRICKS_APP_NAME"))
	}
	return cfg
}

// Format prints a Config without its key, whatever the verb: configurations
// end up in logs.
func (c Config) Format(f fmt.State, _ rune) {
	key := "none"
	if c.Key != "" {
		key = "set"
	}
	_, _ = fmt.Fprintf(f, "lakepulse.Config{URL:%q App:%q Key:%s}", c.URL, c.App, key) // fmt reports write errors itself
}

// Validate returns every rule the Config breaks, joined.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("lakepulse: "+format, args...)) }
	if c.URL != "" {
		if err := checkURL(c.URL); err != nil {
			errs = append(errs, err)
		}
	}
	if c.App != "" && !isAppName(c.App) {
		bad("App must match ^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
	}
	if c.Sink != nil && c.App == "" {
		bad("App is required with a Sink")
	}
	if c.Key != "" && !printable(c.Key) {
		bad("Key must be printable ASCII")
	}
	if c.Key != "" && c.DevUser != "" {
		bad("DevUser is for a collector in dev mode: it cannot be used with a Key")
	}
	if !printable(c.DevUser) || len(c.DevUser) > maxText {
		bad("DevUser must be at most %d characters of printable ASCII", maxText)
	}
	if c.BatchSize < 0 || c.BatchSize > MaxBatch {
		bad("BatchSize must be between 1 and %d", MaxBatch)
	}
	if c.BufferSize < 0 || c.BufferSize > maxBuffer {
		bad("BufferSize must be between 1 and %d", maxBuffer)
	}
	if c.MaxEndpoints < 0 {
		bad("MaxEndpoints must be 1 or more")
	}
	for name, d := range map[string]time.Duration{
		"TimeoutThreshold": c.TimeoutThreshold, "FlushInterval": c.FlushInterval,
		"RequestTimeout": c.RequestTimeout, "RetryMin": c.RetryMin, "RetryMax": c.RetryMax,
	} {
		if d < 0 {
			bad("%s must be more than 0", name)
		}
	}
	return errors.Join(errs...)
}

const maxBuffer = 1 << 22

func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil: // url.Error repeats the text, which may hold credentials
		return errors.New("lakepulse: URL cannot be parsed")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("lakepulse: URL must be http://host[:port] or https://host[:port]")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("lakepulse: URL must carry no credentials, query or fragment")
	}
	return nil
}

// printable guards header values: net/http refuses others on every single request.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// withDefaults returns the Config with every gap filled.
func (c Config) withDefaults() Config {
	c.URL = strings.TrimRight(c.URL, "/")
	c.TimeoutThreshold = cmp.Or(c.TimeoutThreshold, DefaultTimeoutThreshold)
	c.MaxEndpoints = cmp.Or(c.MaxEndpoints, DefaultMaxEndpoints)
	c.BufferSize = cmp.Or(c.BufferSize, DefaultBufferSize)
	c.BatchSize = cmp.Or(c.BatchSize, DefaultBatchSize)
	c.FlushInterval = cmp.Or(c.FlushInterval, DefaultFlushInterval)
	c.RequestTimeout = cmp.Or(c.RequestTimeout, DefaultRequestTimeout)
	c.RetryMin = cmp.Or(c.RetryMin, DefaultRetryMin)
	c.RetryMax = max(c.RetryMin, cmp.Or(c.RetryMax, DefaultRetryMax))
	c.Instance = instanceName(c.Instance)
	c.AppVersion = rules.CleanText(c.AppVersion, maxText)
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// instanceName returns a name that no other process, and no earlier run of this
// one, has: (instance, seq) proves losses only if it is unique.
func instanceName(given string) string {
	if given == "" {
		host, err := os.Hostname()
		if err != nil { // the random part alone still tells processes apart
			host = "go"
		}
		given = host
	}
	var suffix [4]byte
	_, _ = rand.Read(suffix[:]) // never fails: crypto/rand ends the program instead
	return rules.CleanText(given, 200) + "-" + hex.EncodeToString(suffix[:])
}
