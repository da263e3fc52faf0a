package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockName is the file whose lock stands for the folder. It is never removed:
// two processes could then each hold the lock of a file of that name.
const lockName = "alertchat.lock"

// folderLock is the right of one process to a folder. The system takes it back
// when the process ends, however it ends.
type folderLock struct {
	path string
	file *os.File
}

// lockFolder takes the folder's lock, or fails at once where another process
// holds it.
func lockFolder(folder string) (*folderLock, error) {
	l := &folderLock{path: filepath.Join(folder, lockName)}
	var err error
	if l.file, err = os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	err = syscall.Flock(int(l.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && !l.inPlace() {
		err = syscall.EWOULDBLOCK // the file was replaced between opening and locking it
	}
	if err == nil {
		return l, nil
	}
	_ = l.file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, &unavailableError{
			kind:  starting,
			cause: fmt.Sprintf("another process has %s: this one waits for it to end", folder),
			err:   err,
		}
	}
	return nil, fmt.Errorf("lock %s: %w", l.path, err)
}

// inPlace tells whether the file that is locked is still the one that another
// process would find.
func (l *folderLock) inPlace() bool {
	return sameFile(l.path, l.file.Stat)
}

func (l *folderLock) release() { _ = l.file.Close() }

// sameFile tells whether what stands at path now is the file that stat knows.
func sameFile(path string, stat func() (os.FileInfo, error)) bool {
	now, err := os.Stat(path)
	if err != nil {
		return false
	}
	then, err := stat()
	return err == nil && os.SameFile(now, then)
}
