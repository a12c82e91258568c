package flux;

import java.util.Map;
import org.teavm.ast.InvocationExpr;
import org.teavm.backend.wasm.TeaVMWasmHost;
import org.teavm.backend.wasm.intrinsics.WasmIntrinsic;
import org.teavm.backend.wasm.intrinsics.WasmIntrinsicManager;
import org.teavm.backend.wasm.model.expression.WasmExpression;
import org.teavm.backend.wasm.model.expression.WasmFloatType;
import org.teavm.backend.wasm.model.expression.WasmFloatUnary;
import org.teavm.backend.wasm.model.expression.WasmFloatUnaryOperation;
import org.teavm.model.AccessLevel;
import org.teavm.model.ClassHolder;
import org.teavm.model.ClassHolderTransformer;
import org.teavm.model.ClassHolderTransformerContext;
import org.teavm.model.ElementModifier;
import org.teavm.model.MethodHolder;
import org.teavm.model.MethodReference;
import org.teavm.model.Program;
import org.teavm.model.ValueType;
import org.teavm.model.emit.ProgramEmitter;
import org.teavm.model.emit.ValueEmitter;
import org.teavm.vm.spi.TeaVMHost;
import org.teavm.vm.spi.TeaVMPlugin;

/** While TeaVM compiles, gives java.lang.Math and Thread.sleep, which import functions of a browser, bodies here. */
public final class MathPlugin implements TeaVMPlugin, ClassHolderTransformer {
    private static final Map<String, WasmFloatUnaryOperation> INSTRUCTIONS = Map.of(
            "sqrt", WasmFloatUnaryOperation.SQRT,
            "floor", WasmFloatUnaryOperation.FLOOR,
            "ceil", WasmFloatUnaryOperation.CEIL,
            "rint", WasmFloatUnaryOperation.NEAREST);

    @Override
    public void install(TeaVMHost host) {
        host.add(this);
        host.getExtension(TeaVMWasmHost.class).add(context -> new Instructions());
    }

    @Override
    public void transformClass(ClassHolder of, ClassHolderTransformerContext context) {
        if (of.getName().equals("java.lang.Math")) {
            for (MethodHolder method : of.getMethods()) {
                boolean imported = method.getAnnotations().get("org.teavm.interop.Import") != null;
                // TeaVM's own rint rounds halves up
                if (method.getLevel() == AccessLevel.PUBLIC && (imported || method.getName().equals("rint"))) {
                    delegate(method, "flux.Maths", context);
                }
            }
        } else if (of.getName().equals("java.lang.Thread")) {
            for (MethodHolder method : of.getMethods()) {
                if (method.getName().equals("sleep") && method.parameterCount() == 1) {
                    delegate(method, "flux.Flux", context);
                }
            }
        }
    }

    /** Make a static method call the one of its name in a class of ours. */
    private static void delegate(MethodHolder method, String to, ClassHolderTransformerContext context) {
        method.getModifiers().remove(ElementModifier.NATIVE);
        for (String annotation : new String[] {"Import", "Async", "NativeAsync"}) {
            if (method.getAnnotations().get("org.teavm.interop." + annotation) != null) {
                method.getAnnotations().remove("org.teavm.interop." + annotation);
            }
        }
        method.setProgram(new Program());
        ProgramEmitter emitter = ProgramEmitter.create(method, context.getHierarchy());
        ValueEmitter[] arguments = new ValueEmitter[method.parameterCount()];
        for (int i = 0; i < arguments.length; i++) {
            arguments[i] = emitter.var(i + 1, method.parameterType(i));
        }
        if (method.getResultType() == ValueType.VOID) {
            emitter.invoke(to, method.getName(), arguments);
            emitter.exit();
        } else {
            emitter.invoke(to, method.getName(), method.getResultType(), arguments).returnValue();
        }
    }

    private static final class Instructions implements WasmIntrinsic {
        @Override
        public boolean isApplicable(MethodReference method) {
            return method.getClassName().equals("flux.Maths") && INSTRUCTIONS.containsKey(method.getName());
        }

        @Override
        public WasmExpression apply(InvocationExpr call, WasmIntrinsicManager manager) {
            WasmExpression argument = manager.generate(call.getArguments().get(0));
            return new WasmFloatUnary(WasmFloatType.FLOAT64, INSTRUCTIONS.get(call.getMethod().getName()), argument);
        }
    }
}
