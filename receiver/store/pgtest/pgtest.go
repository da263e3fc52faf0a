// Package pgtest runs a real PostgreSQL for tests: a cluster of its own in a
// temporary folder, on a free port of 127.0.0.1.
//
// PostgreSQL must be installed; .ci/postgres does that on Debian. Where it is
// not, tests are skipped, but fail with CI=true in the environment.
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// How long the server may take to do what it is told.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
	pollInterval = 20 * time.Millisecond
)

// Server is one PostgreSQL server, which runs until the end of the test that
// started it. All its connections take the password in [Server.URL]; the user
// may do everything. It syncs to disk, as production does.
//
// Its methods must not be called at once, but for URL.
type Server struct {
	bin       string // the folder with PostgreSQL's programs
	folder    string // the cluster
	port      int
	password  string
	owner     *syscall.Credential // who runs it; nil for this process's user
	databases atomic.Int64

	watchdog *exec.Cmd
	lifeline io.WriteCloser // to the watchdog

	process *os.Process   // nil while it does not run
	ended   chan struct{} // closed once process has ended
	log     *bytes.Buffer // of process; complete once ended is closed
}

// New makes a cluster and starts its server. It skips the test where there is
// no PostgreSQL.
func New(tb testing.TB) *Server {
	tb.Helper()
	bin, err := find()
	if err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatal(err)
		}
		tb.Skip(err)
	}
	s := &Server{bin: bin, password: rand.Text()}
	//nolint:usetesting // the watchdog removes it, also when this process is killed
	if s.folder, err = os.MkdirTemp("", "alertchat-postgres-"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.end(tb) })
	if err := s.watch(context.WithoutCancel(tb.Context())); err != nil {
		tb.Fatalf("start the watchdog: %v", err)
	}
	if err := s.initialize(tb.Context()); err != nil {
		tb.Fatalf("make a cluster: %v", err)
	}
	s.Start(tb)
	return s
}

// find returns the folder of PostgreSQL's programs: that of initdb in PATH,
// else the newest that Debian has installed.
func find() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	newest, bin := 0.0, ""
	for _, path := range found {
		folder := filepath.Dir(path)
		version, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(folder)), 64)
		if version > newest {
			newest, bin = version, folder
		}
	}
	if bin == "" {
		return "", errors.Join(errors.New("there is no PostgreSQL: run .ci/postgres, or apt-get install postgresql"), err)
	}
	return bin, nil
}

// watch starts a shell that cleans up once its standard input ends, which it
// does when this process ends, however that is. It reads the id of the server's
// process, or an empty line for none.
func (s *Server) watch(ctx context.Context) error {
	//nolint:gosec // a script of ours, and a folder that was just made
	s.watchdog = exec.CommandContext(ctx, "sh", "-c", `trap "" HUP INT QUIT TERM
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
	kill -QUIT "$pid" 2>/dev/null
	n=0 # a zombie that nobody reaps is there for ever
	while [ $n -lt 200 ] && kill -0 "$pid" 2>/dev/null; do sleep 0.05; n=$((n + 1)); done
fi
rm -rf "$1"`, "sh", s.folder)
	s.watchdog.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if s.lifeline, err = s.watchdog.StdinPipe(); err != nil {
		return err
	}
	return s.watchdog.Start()
}

// end stops what runs and removes the folder.
func (s *Server) end(tb testing.TB) {
	tb.Helper()
	if s.watchdog == nil || s.watchdog.Process == nil {
		_ = os.RemoveAll(s.folder)
		return
	}
	_ = s.lifeline.Close()
	if s.process != nil {
		s.wait(tb)
	}
	_ = s.watchdog.Wait()
	if _, err := os.Stat(s.folder); !errors.Is(err, os.ErrNotExist) {
		tb.Errorf("the folder of PostgreSQL is still there: %v", err)
	}
}

// initialize makes the cluster. PostgreSQL refuses to run as root: then it runs
// as postgres, or as nobody.
func (s *Server) initialize(ctx context.Context) error {
	if os.Geteuid() == 0 {
		who, err := user.Lookup("postgres")
		if err != nil {
			who, err = user.Lookup("nobody")
		}
		if err != nil {
			return err
		}
		uid, uidErr := strconv.ParseUint(who.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(who.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return err
		}
		s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	passwords := filepath.Join(s.folder, "password")
	if err := os.WriteFile(passwords, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	if s.owner != nil {
		for _, path := range []string{s.folder, passwords} {
			if err := os.Chown(path, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
				return err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	initdb := s.command(ctx, "initdb", "--pgdata="+s.data(), "--username=alertchat", "--pwfile="+passwords,
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// command returns one of PostgreSQL's programs.
func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...) //nolint:gosec // a program that was looked for
	c.Dir = s.folder
	c.Env = append(os.Environ(), "LC_ALL=C")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}
	return c
}

// Start starts the server and returns once it takes connections. The port stays
// the same, unless somebody else has it the first time.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	if s.process != nil {
		tb.Fatal("PostgreSQL runs already")
	}
	first := s.port == 0
	var err error
	for range 5 {
		if first {
			if s.port, err = freePort(); err != nil {
				tb.Fatal(err)
			}
		}
		if err = s.start(tb); err == nil {
			return
		}
	}
	tb.Fatalf("start PostgreSQL: %v", err)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return 0, err
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("the address is a %T", l.Addr())
	}
	return addr.Port, nil
}

func (s *Server) start(tb testing.TB) error {
	tb.Helper()
	// Not the test's context: that ends before its cleanups.
	server := s.command(context.Background(), "postgres", "-D", s.data(), "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=60",
		"-c", "shared_buffers=16MB", "-c", "max_wal_size=128MB", "-c", "restart_after_crash=off")
	log := &bytes.Buffer{}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Wait()
	}()
	s.process, s.ended, s.log = server.Process, ended, log
	fmt.Fprintln(s.lifeline, s.process.Pid)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.url("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ended:
			s.gone()
			return fmt.Errorf("it has ended:\n%s", log)
		case <-ctx.Done():
			s.Kill(tb)
			return fmt.Errorf("it takes no connections: %w", err)
		case <-time.After(pollInterval):
		}
	}
}

// gone notes that the process has ended.
func (s *Server) gone() {
	s.process = nil
	fmt.Fprintln(s.lifeline)
}

// wait returns once the process has ended.
func (s *Server) wait(tb testing.TB) {
	tb.Helper()
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
		_ = s.process.Kill()
		<-s.ended
		tb.Errorf("PostgreSQL had to be killed:\n%s", s.log)
	}
	s.gone()
}

// Stop ends the server in order: it ends all sessions, rolls back what they had
// begun, and writes all it has.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	if err := s.process.Signal(os.Interrupt); err != nil {
		tb.Fatalf("stop PostgreSQL: %v", err)
	}
	s.wait(tb)
}

// Kill ends all sessions and what else works for the server with SIGKILL, as a
// crash of the machine would. [Server.Start] then has to recover.
//
// The server itself ends when its children are killed, and is spared: orphans
// would stay as zombies where the first process of a container reaps none.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	sessions := children(s.process.Pid)
	for _, pid := range sessions {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if len(sessions) == 0 {
		_ = s.process.Kill()
	}
	s.wait(tb)
}

// children returns the processes that a process has started, as Linux tells it.
func children(parent int) []int {
	found, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var pids []int
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// 123 (name) S parent …; a name may hold anything.
		fields := bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && string(fields[1]) == strconv.Itoa(parent) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// URL makes an empty database and returns its connection URL, which holds the
// password. The server must run.
func (s *Server) URL(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		tb.Fatalf("make a database: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		tb.Fatalf("make a database: %v", err)
	}
	return s.url(name)
}

func (s *Server) url(database string) string {
	u := url.URL{
		Scheme: "postgres", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: "/" + database,
		User: url.UserPassword("alertchat", s.password), RawQuery: "sslmode=disable",
	}
	return u.String()
}
