// The functions of the conformance suite: act takes steps, add is a sum; one module is both.
package main

import (
	"act/flux"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"time"
)

const types = `
    select
        9007199254740993::bigint as big, 1.50::numeric as exact, '2026-03-10T14:22:01.5Z'::timestamptz as at,
        '\x00ff'::bytea as bytes, array[1, 2] as list, '{"a": [1, null]}'::jsonb as document,
        null::text as nothing, true as yes`

type input struct {
	A, B  int64
	Steps []step
}

type step struct {
	Do, Email, Message, Name, URL, Function, Type, Level, Text string
	ID                                                         int64
	Status, Times, Count                                       int
	Seconds                                                    float64
	Input, Data, Value, Body, Query                            any
	Fields                                                     flux.Args
	Headers                                                    map[string]string
}

func run(ctx *flux.Ctx, in input) (any, error) {
	if in.Steps == nil {
		return map[string]int64{"sum": in.A + in.B}, nil
	}
	results := []any{}
	for _, step := range in.Steps {
		if step.Do == "respond" {
			return flux.Response{Status: step.Status, Headers: step.Headers, Body: step.Body}, nil
		}
		result, err := take(ctx, step)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return map[string]any{"results": results}, nil
}

func take(ctx *flux.Ctx, step step) (result any, err error) {
	switch step.Do {
	case "insert":
		return insert(ctx, step.Email)
	case "read":
		err = ctx.DB.All(&result, "select id, email from users where email = $1 order by id", step.Email)
	case "count":
		err = ctx.DB.Value(&result, "select count(*) from users")
	case "rename":
		return ctx.DB.Execute("update users set email = $1 where id = $2", step.Email, step.ID)
	case "insert_caught":
		var refused *flux.Error
		if result, err = insert(ctx, step.Email); errors.As(err, &refused) && refused.Type == "UniqueViolation" {
			return flux.Args{"caught": refused.Type, "code": refused.Get("code"), "constraint": refused.Get("constraint")}, nil
		}
	case "query":
		err = ctx.DB.Query(&result, step.Query)
	case "types":
		err = ctx.DB.One(&result, types)
	case "fail":
		return nil, flux.Errorf("%s", step.Message)
	case "http_error":
		return nil, flux.HTTPError(step.Status, step.Message)
	case "fetch":
		answer, err := ctx.Fetch(step.URL, nil)
		return flux.Args{"status": answer.Status, "body": answer.Body}, err
	case "tool":
		err = ctx.Tool(&result, step.Name, flux.Args{"url": step.URL}, func(tool *flux.Tool) (any, error) {
			answer, err := tool.Fetch(step.URL, nil)
			return answer.Body, err
		})
	case "now":
		return ctx.Now()
	case "uuid":
		return ctx.UUID()
	case "random":
		return ctx.Random()
	case "own_clock":
		return time.Now().UnixMilli(), nil
	case "own_random":
		return rand.Float64(), nil
	case "sleep":
		time.Sleep(time.Duration(step.Seconds * float64(time.Second)))
	case "invoke":
		err = ctx.Invoke(&result, step.Function, step.Input)
	case "invoke_caught":
		var refused *flux.Error
		if err = ctx.Invoke(&result, step.Function, step.Input); errors.As(err, &refused) {
			return flux.Args{"caught": refused.Type, "message": refused.Message}, nil
		}
	case "push":
		return ctx.Queue.Push(step.Function, step.Input, nil)
	case "publish":
		return ctx.Events.Publish(step.Type, step.Data)
	case "log":
		ctx.Log.Warning(step.Message, step.Fields)
	case "print":
		fmt.Println(step.Text)
	case "secret":
		value, known, err := ctx.Secrets.Get(step.Name)
		if !known {
			return nil, err
		}
		return value, nil
	case "echo":
		return step.Value, nil
	case "repeat":
		return strings.Repeat(step.Text, step.Times), nil
	case "many":
		sum := int64(0)
		for range step.Count {
			var one int64
			if err := ctx.DB.Value(&one, "select 1"); err != nil {
				return nil, err
			}
			sum += one
		}
		return sum, nil
	case "spin":
		for {
		}
	case "grow":
		for kept := [][]byte{}; ; kept = append(kept, make([]byte, 1<<20)) {
		}
	case "recurse":
		return recurse(1), nil
	case "panic":
		panic(step.Message)
	case "plain":
		return nil, errors.New(step.Message)
	default:
		return nil, flux.Errorf("there is no step %s", step.Do)
	}
	return result, err
}

func insert(ctx *flux.Ctx, email string) (row json.RawMessage, err error) {
	err = ctx.DB.One(&row, "insert into users (email) values ($1) returning id, email", email)
	return row, err
}

func recurse(depth int) int { return recurse(depth+1) + depth }

func init() { flux.Function(run) }

func main() {}
