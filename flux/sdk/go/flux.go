// Package flux is for functions in Go: what a function may ask of its host, and how its answer gets there.
//
//	func hello(ctx *flux.Ctx, input Input) (Greeting, error) { … }
//
//	func init() { flux.Function(hello) }
//
// Values are whatever encoding/json can read and write; docs/guests/protocol.md says what becomes of those of Postgres.
package flux

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"strings"
	"unsafe"
)

// Ctx is what a function may ask. It lives as long as the request.
type Ctx struct {
	DB      DB
	Queue   Queue
	Events  Events
	Log     Log
	Secrets Secrets
}

// Args are the arguments of an operation, or options of one.
type Args map[string]any

// Error is an error of the host, or one with a meaning to it: see HTTPError, Retry.
type Error struct {
	Type    string // as the record has it: "UniqueViolation", "HTTPError" …
	Message string
	More    Args // what else is known of it: code, constraint, status, problems …
	frames  []frame
}

func (e *Error) Error() string { return e.Message }

// Get is a member of More as text: err.Get("constraint").
func (e *Error) Get(name string) string {
	text, _ := e.More[name].(string)
	return text
}

// Errorf is fmt.Errorf, and remembers the line it was called on.
func Errorf(format string, values ...any) error {
	return &Error{Type: "Error", Message: fmt.Errorf(format, values...).Error(), frames: frames()}
}

// HTTPError ends the request with this status.
func HTTPError(status int, message string) error {
	return &Error{Type: "HTTPError", Message: message, More: Args{"status": status}, frames: frames()}
}

// Retry asks for the job to be tried again after so many seconds.
func Retry(after float64, message string) error {
	return &Error{Type: "Retry", Message: message, More: Args{"after": after}, frames: frames()}
}

// IsType is whether an error of the host, however wrapped, is of this type.
func IsType(err error, name string) bool {
	var known *Error
	return errors.As(err, &known) && known.Type == name
}

// Call is any operation of the host, by name. The answer goes to where `to` points, unless that is nil.
func (*Ctx) Call(to any, op string, args Args) error { return call(to, op, args) }

// Fetched is what a fetch got; BodyBase64 is there in place of Body where it is not text.
type Fetched struct {
	Status     int               `json:"status"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
	BodyBase64 string            `json:"body_base64,omitempty"`
}

// Fetch is an HTTP request to the outside. Options are method, headers, body or json, timeout; nil for none.
func (*Ctx) Fetch(url string, options Args) (answer Fetched, err error) {
	err = call(&answer, "fetch", with(options, "url", url))
	return answer, err
}

// Tool is a call out of the system under way.
type Tool struct{ call int64 }

// Fetch is one that belongs to the tool call.
func (t *Tool) Fetch(url string, options Args) (answer Fetched, err error) {
	err = call(&answer, "fetch", with(with(options, "url", url), "tool", t.call))
	return answer, err
}

// Tool makes a call out of the system whose answer is recorded, and given back in a replay without making the call.
// The answer goes to where `to` points.
func (*Ctx) Tool(to any, name string, arguments any, does func(*Tool) (any, error)) error {
	var begun struct {
		Call   int64           `json:"call"`
		Answer json.RawMessage `json:"answer"`
	}
	if err := call(&begun, "tool.begin", Args{"name": name, "arguments": arguments}); err != nil {
		return err
	}
	if begun.Answer != nil {
		return decode(begun.Answer, to)
	}
	answer, err := does(&Tool{begun.Call})
	if err != nil {
		told := told(err)
		if failed := call(nil, "tool.end", Args{"call": begun.Call, "error": Args{"type": told["type"], "message": told["message"]}}); failed != nil {
			return failed
		}
		return err
	}
	if err := call(nil, "tool.end", Args{"call": begun.Call, "answer": answer}); err != nil {
		return err
	}
	encoded, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return decode(encoded, to)
}

// Invoke is what another function of the project answers.
func (*Ctx) Invoke(to any, function string, input any) error {
	return call(to, "invoke", Args{"function": function, "input": input})
}

// Now is the time in UTC, as ISO 8601.
func (*Ctx) Now() (now string, err error) {
	err = call(&now, "now", nil)
	return now, err
}

// UUID is a random one.
func (*Ctx) UUID() (uuid string, err error) {
	err = call(&uuid, "uuid", nil)
	return uuid, err
}

// Random is a number from 0 up to 1; not for secrets.
func (*Ctx) Random() (number float64, err error) {
	err = call(&number, "random", nil)
	return number, err
}

// Request is the request: id, kind, method, path, query, headers.
func (*Ctx) Request() (request map[string]any, err error) {
	err = call(&request, "request", nil)
	return request, err
}

// DB is the request's transaction. Parameters are marked $1, $2 …
type DB struct{}

// Execute is the number of rows that were written or returned.
func (DB) Execute(sql string, parameters ...any) (rows int64, err error) {
	err = call(&rows, "db.execute", statement(sql, parameters))
	return rows, err
}

// One puts the first row where `to` points; nothing is put there if there is none.
func (DB) One(to any, sql string, parameters ...any) error {
	return call(to, "db.one", statement(sql, parameters))
}

// All puts every row where `to` points, a slice.
func (DB) All(to any, sql string, parameters ...any) error {
	return call(to, "db.all", statement(sql, parameters))
}

// Value puts the first column of the first row where `to` points.
func (DB) Value(to any, sql string, parameters ...any) error {
	return call(to, "db.value", statement(sql, parameters))
}

// Query puts the rows of a structured query where `to` points, or the number of rows that it wrote.
func (DB) Query(to any, query any) error {
	return call(to, "db.query", Args{"query": query})
}

func statement(sql string, parameters []any) Args {
	if parameters == nil {
		parameters = []any{}
	}
	return Args{"sql": sql, "parameters": parameters}
}

// Queue holds jobs, which exist exactly if the transaction does.
type Queue struct{}

// Push is the id of a new job. Options are delay, run_at, key, priority …; nil for none.
func (Queue) Push(function string, input any, options Args) (id int64, err error) {
	err = call(&id, "queue.push", with(with(options, "function", function), "input", input))
	return id, err
}

// Events are for whoever subscribes.
type Events struct{}

// Publish is the id of a new event.
func (Events) Publish(kind string, data any) (id any, err error) {
	err = call(&id, "events.publish", Args{"type": kind, "data": data})
	return id, err
}

// Secrets are hidden in the record.
type Secrets struct{}

// Get is a secret; known is whether it is set.
func (Secrets) Get(name string) (value string, known bool, err error) {
	var told *string
	if err = call(&told, "secrets.get", Args{"name": name}); err != nil || told == nil {
		return "", false, err
	}
	return *told, true, nil
}

// Log writes lines of the request, with fields.
type Log struct{}

func (Log) Debug(message string, fields Args)   { line("debug", message, fields) }
func (Log) Info(message string, fields Args)    { line("info", message, fields) }
func (Log) Warning(message string, fields Args) { line("warning", message, fields) }
func (Log) Error(message string, fields Args)   { line("error", message, fields) }

func line(level, message string, fields Args) {
	args := Args{"level": level, "message": message, "fields": fields}
	if own := frames(); len(own) > 0 {
		args["file"], args["line"] = own[len(own)-1].File, own[len(own)-1].Line
	}
	_ = call(nil, "log", args)
}

// Response is a whole HTTP response, for functions whose answer is not only JSON.
type Response struct {
	Status  int
	Headers map[string]string
	Body    any
}

func (r Response) MarshalJSON() ([]byte, error) {
	return json.Marshal(Args{"$response": Args{"status": r.Status, "headers": r.Headers, "body": r.Body}})
}

// Function makes a function the one that this module is; to be called from an init.
func Function[I, O any](does func(*Ctx, I) (O, error)) {
	function = func(data []byte) (any, error) {
		var input I
		if err := decode(data, &input); err != nil {
			return nil, err
		}
		return does(&Ctx{}, input)
	}
}

// How the bytes travel: docs/guests/abi.md

var (
	function func([]byte) (any, error)
	pinned   = map[uintptr][]byte{}
)

//go:wasmimport flux call
func hostCall(address unsafe.Pointer, size uint32) uint64

//go:wasmexport flux_alloc
func fluxAlloc(size uint32) uintptr { return pin(make([]byte, size, size+1)) }

//go:wasmexport flux_handle
func fluxHandle(address uintptr, size uint32) uint64 {
	reply := handled(taken(address, size))
	return uint64(pin(reply))<<32 | uint64(len(reply))
}

func pin(data []byte) uintptr {
	address := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	pinned[address] = data
	return address
}

func taken(address uintptr, size uint32) []byte {
	data := pinned[address]
	delete(pinned, address)
	return data[:size]
}

func handled(input []byte) (reply []byte) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err, is := panicked.(error)
			if !is {
				err = fmt.Errorf("%v", panicked)
			}
			reply, _ = json.Marshal(Args{"error": Args{"type": "Panic", "message": err.Error(), "frames": frames()}})
		}
	}()
	value, err := function(input)
	if err == nil {
		if reply, err = json.Marshal(Args{"ok": value}); err == nil {
			return reply
		}
	}
	reply, _ = json.Marshal(Args{"error": told(err)})
	return reply
}

// told is an error as the host reads it: one of the host's as it came, wrapped or not.
func told(err error) Args {
	var known *Error
	if errors.As(err, &known) {
		return with(with(with(known.More, "type", known.Type), "message", known.Message), "frames", known.frames)
	}
	return Args{"type": strings.TrimPrefix(fmt.Sprintf("%T", err), "*"), "message": err.Error()}
}

func call(to any, op string, args Args) error {
	request, err := json.Marshal(Args{"op": op, "args": args})
	if err != nil {
		return err
	}
	told := hostCall(unsafe.Pointer(unsafe.SliceData(request)), uint32(len(request)))
	var reply struct {
		Ok    json.RawMessage `json:"ok"`
		Error Args            `json:"error"`
	}
	if err := decode(taken(uintptr(told>>32), uint32(told)), &reply); err != nil {
		return err
	}
	if reply.Error != nil {
		failed := &Error{More: reply.Error, frames: frames()}
		failed.Type, failed.Message = failed.Get("type"), failed.Get("message")
		return failed
	}
	if to == nil {
		return nil
	}
	return decode(reply.Ok, to)
}

// decode keeps every digit of a number that goes into an any.
func decode(data []byte, to any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(to)
}

func with(options Args, name string, value any) Args {
	all := maps.Clone(options)
	if all == nil {
		all = Args{}
	}
	all[name] = value
	return all
}

type frame struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Function string `json:"function"`
}

// frames are the function's own, outermost first.
func frames() []frame {
	counters := make([]uintptr, 64)
	walked := runtime.CallersFrames(counters[:runtime.Callers(2, counters)])
	found := []frame{}
	for {
		at, more := walked.Next()
		if file, own := strings.CutPrefix(at.File, module); own && !strings.HasPrefix(file, "flux/") {
			found = append([]frame{{file, at.Line, at.Function}}, found...)
		}
		if !more {
			return found
		}
	}
}

var module = func() string {
	if info, known := debug.ReadBuildInfo(); known {
		return info.Main.Path + "/"
	}
	return ""
}()
