package chat

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"golang.org/x/sync/singleflight"
)

// botScope is what an app needs for its own messages
// (https://developers.google.com/workspace/chat/authenticate-authorize-chat-app).
const botScope = "https://www.googleapis.com/auth/chat.bot"

const (
	// fetchTimeout bounds one fetch of a token, whoever waits for it.
	fetchTimeout = 10 * time.Second
	// refreshEarly is how long before its end a token is no longer used, or a
	// quarter of its life where that is less.
	refreshEarly = time.Minute
	// unknownLife is how long a token is used whose end nobody told.
	unknownLife = time.Hour
)

// Errors of [CheckCredentials]. They say nothing of the content, which is a
// secret.
var (
	errNoJSON = errors.New("the credentials file is no JSON object: want a service account's key file, as Google's console gives it")
	errUser   = errors.New("the credentials file is of a person's login: a Chat app needs a service account")
	errType   = errors.New("the credentials file has no type that a Chat app can use: want service_account or external_account")
	errEmail  = errors.New("the credentials file has no client_email: it is not the whole key file of a service account")
	errURI    = errors.New("the credentials file's token_uri is no https URL: it is not the key file as Google's console gives it")
	errNoKey  = errors.New("the credentials file's private_key is no PEM block: it is not the whole key file of a service account")
	errKey    = errors.New("the credentials file's private_key is no RSA key that can be read: make a new key for the service account")
	errNobody = errors.New("the credentials file has no service_account_impersonation_url: " +
		"workload identity federation must act as the Chat app's service account")
	errSource = errors.New("the credentials file's audience, subject_token_type or credential_source is missing")
)

// CheckCredentials says what is wrong with the content of a credentials file:
// a service account's key file, or the configuration of workload identity
// federation that acts as one. Its errors hold nothing of the content.
func CheckCredentials(content []byte) error {
	_, err := credentialsType(content)
	return err
}

// credentialsType returns what kind of credentials a file has, if they can be
// used.
func credentialsType(content []byte) (google.CredentialsType, error) {
	var file struct {
		Type          string `json:"type"`
		ClientEmail   string `json:"client_email"`
		PrivateKey    string `json:"private_key"`
		TokenURI      string `json:"token_uri"`
		Impersonation string `json:"service_account_impersonation_url"`
		Audience      string `json:"audience"`
		TokenType     string `json:"subject_token_type"`
		Source        struct {
			File        string          `json:"file"`
			URL         string          `json:"url"`
			Environment string          `json:"environment_id"`
			Executable  json.RawMessage `json:"executable"`
		} `json:"credential_source"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return "", errNoJSON // err may quote the content
	}
	switch kind := google.CredentialsType(file.Type); kind {
	case google.ServiceAccount:
		if file.ClientEmail == "" {
			return "", errEmail
		}
		if u, err := url.Parse(file.TokenURI); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return "", errURI
		}
		return kind, checkKey(file.PrivateKey)
	case google.ExternalAccount:
		from := &file.Source
		switch {
		case file.Impersonation == "":
			return "", errNobody
		case file.Audience == "" || file.TokenType == "" || from.File == "" && from.URL == "" && from.Environment == "" && from.Executable == nil:
			return "", errSource
		}
		return kind, nil
	case google.AuthorizedUser:
		return "", errUser
	default:
		return "", errType
	}
}

func checkKey(text string) error {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return errNoKey
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if _, ok := key.(*rsa.PrivateKey); ok {
			return nil
		}
		return errKey
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
		return errKey
	}
	return nil
}

// CredentialsOptions say who an [App] is.
type CredentialsOptions struct {
	// JSON is the content of a credentials file, see [CheckCredentials]. Nil
	// stands for Application Default Credentials, which are looked for whenever a
	// token is needed.
	JSON []byte
	// HTTP makes the requests for tokens; nil stands for a client of its own.
	HTTP *http.Client
}

// Credentials are the access tokens of a service account. All apps that are it
// share one value: a token is fetched once for all of them, and used until
// shortly before its end. Its methods can be called from many goroutines.
type Credentials struct {
	// source is a function, so that nothing which looks into the value finds a key.
	source func(ctx context.Context) (*google.Credentials, error)
	http   http.Client
	fetch  singleflight.Group

	mu    sync.Mutex // guards token, never held while one is fetched
	token *accessToken
}

// accessToken is a token that can be used. Printed below a pointer, it is an
// address.
type accessToken struct {
	value string
	until time.Time
}

// NewCredentials returns credentials that have no token yet. It fails as
// [CheckCredentials] does.
func NewCredentials(o CredentialsOptions) (*Credentials, error) {
	c := &Credentials{source: defaultSource}
	if o.JSON != nil {
		kind, err := credentialsType(o.JSON)
		if err != nil {
			return nil, err
		}
		c.source = func(ctx context.Context) (*google.Credentials, error) {
			return google.CredentialsFromJSONWithType(ctx, o.JSON, kind, botScope)
		}
	}
	if o.HTTP != nil {
		c.http = *o.HTTP
	}
	c.http.Timeout = fetchTimeout
	// A redirect would give the assertion to another host.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// errNoDefault says that nobody gave credentials.
var errNoDefault = errors.New("there are no Application Default Credentials that can be used: " +
	"give app.credentials_file, or set GOOGLE_APPLICATION_CREDENTIALS to the path of a service account's key file that can be read")

// defaultSource looks for Application Default Credentials.
func defaultSource(ctx context.Context) (*google.Credentials, error) {
	found, err := google.FindDefaultCredentials(ctx, botScope)
	if err != nil {
		return nil, errNoDefault // err may quote a file
	}
	return found, nil
}

// Format writes "<secret>" for each verb.
func (c *Credentials) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue returns "<secret>".
func (c *Credentials) LogValue() slog.Value { return slog.StringValue(redacted) }

// get returns a token, and whether it was fetched for this call.
func (c *Credentials) get(ctx context.Context) (token string, fresh bool, err error) {
	if token := c.current(); token != "" {
		return token, false, nil
	}
	result := c.fetch.DoChan("", func() (any, error) { return c.renew(context.WithoutCancel(ctx)) })
	select {
	case r := <-result:
		if r.Err != nil {
			return "", false, r.Err
		}
		token, _ := r.Val.(string)
		return token, true, nil
	case <-ctx.Done():
		e := answer{scrub: scrubLong}.explain(ctx, &Error{Outcome: NotDone}, ctx.Err())
		e.Code = codeToken
		return "", false, e
	}
}

// current returns the token at hand, if it can still be used.
func (c *Credentials) current() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == nil || !time.Now().Before(c.token.until) {
		return ""
	}
	return c.token.value
}

// drop forgets a token that Google does not take.
func (c *Credentials) drop(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != nil && c.token.value == token {
		c.token = nil
	}
}

// renew fetches a token. It is bounded by its own timeout: several may wait for
// it, and one that gives up must not take it from the others.
func (c *Credentials) renew(ctx context.Context) (string, error) {
	observed := &observer{next: c.http.Transport}
	if observed.next == nil {
		observed.next = http.DefaultTransport
	}
	client := c.http
	client.Transport = observed
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, errors.New("no access token within 10s"))
	defer cancel()
	source, err := c.source(context.WithValue(ctx, oauth2.HTTPClient, &client))
	if err == nil {
		var token *oauth2.Token
		if token, err = source.TokenSource.Token(); err == nil && token.AccessToken == "" {
			err = errors.New("the answer of the token endpoint holds none")
		}
		if err == nil {
			now := time.Now()
			life := unknownLife
			if !token.Expiry.IsZero() {
				life = token.Expiry.Sub(now)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.token = &accessToken{value: token.AccessToken, until: now.Add(life - min(refreshEarly, life/4))}
			return token.AccessToken, nil
		}
	}
	return "", observed.failed(ctx, err)
}

// tokenReason is what a token endpoint says of an error
// (https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
func tokenReason(err error) string {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return cause(err).Error()
	}
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(refused.Body, &said) != nil || said.Error == "" {
		return refused.Response.Status
	}
	return fmt.Sprintf("%d %s: %s", refused.Response.StatusCode, said.Error, said.Description)
}
