package receiver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"alertchat/receiver/store"
)

const (
	// replicaPoll is how often a replica that delivers looks for what another
	// one has accepted.
	replicaPoll = time.Second
	// maxPostgresURL is the size of a file with a URL.
	maxPostgresURL = 8 << 10
)

// readPostgresURL returns what a file holds, without the space around it. Its
// errors do not show any of it.
func readPostgresURL(file string) (string, error) {
	if strings.Contains(file, "://") || strings.Contains(file, "password=") {
		// Somebody gave the URL itself: it must not be in an error.
		return "", errors.New("read the URL of the database: want the path of a file that holds it, not the URL")
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read the URL of the database: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxPostgresURL+1))
	if err != nil {
		return "", fmt.Errorf("read the URL of the database: %w", err)
	}
	url := strings.TrimSpace(string(content))
	if url == "" || len(content) > maxPostgresURL {
		return "", errors.New("read the URL of the database: " + file + " does not hold one such as postgres://USER:PASSWORD@HOST/DATABASE")
	}
	if err := store.CheckPostgresURL(url); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return url, nil
}
