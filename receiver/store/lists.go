package store

import (
	"context"
	"iter"
	"strconv"
	"strings"
)

// lists yields a query and its arguments for each portion of values. {list} in
// the query becomes the placeholders of a portion, which follow those of args.
// Portions have few sizes, so that few statements are prepared; the last one is
// filled up with the zero value of T, which must match nothing.
func lists[T any](query string, values []T, args ...any) iter.Seq2[string, []any] {
	return func(yield func(string, []any) bool) {
		for rest := values; len(rest) > 0; {
			size := listSize(len(rest))
			portion := rest[:min(size, len(rest))]
			rest = rest[len(portion):]
			all := make([]any, len(args), len(args)+size)
			copy(all, args)
			for i := range portion {
				all = append(all, portion[i])
			}
			for len(all) < cap(all) {
				all = append(all, *new(T))
			}
			if !yield(strings.Replace(query, "{list}", placeholders(len(args)+1, len(all)), 1), all) {
				return
			}
		}
	}
}

// execLists runs a statement for all portions of values.
func execLists[T any](ctx context.Context, w *statements, query string, values []T, args ...any) error {
	for query, args := range lists(query, values, args...) {
		if err := w.later(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

// listSize returns how many values the next list has where n are left: a power
// of 4, 256 at most.
func listSize(n int) int {
	size := 1
	for size < min(n, 256) {
		size *= 4
	}
	return size
}

// placeholders returns those from one number to another, as "$2, $3".
func placeholders(from, to int) string {
	var list []byte
	for i := from; i <= to; i++ {
		if i > from {
			list = append(list, ", "...)
		}
		list = strconv.AppendInt(append(list, '$'), int64(i), 10)
	}
	return string(list)
}
