import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Method;
import java.lang.reflect.Parameter;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/** Compiles units from memory, all in one run of the compiler. */
class Units {
    static final JavaCompiler COMPILER = ToolProvider.getSystemJavaCompiler();
    static final Map<String, Unit> UNITS = new HashMap<>();

    static void compile(DataInputStream request, DataOutputStream reply, StandardJavaFileManager files)
            throws IOException {
        UNITS.clear();
        List<Unit> units = new ArrayList<>();
        for (int n = request.readInt(); n > 0; n--)
            units.add(new Unit(Values.string(request), Values.string(request), Values.string(request)));
        List<Unit> rest = new ArrayList<>(units);
        // One broken unit keeps the compiler from writing any: the sound ones are compiled again without it.
        while (!rest.isEmpty() && !compiled(rest, files)) {
            int before = rest.size();
            rest.removeIf(unit -> unit.error != null);
            if (rest.size() == before)
                for (Unit unit : rest) unit.error = "the compiler failed without a message";
        }
        reply.writeInt(units.size());
        for (Unit unit : units) {
            boolean remembers = false;
            if (unit.error == null) {
                try {
                    unit.load();
                    remembers = !unit.methods.isEmpty() && unit.remembers();
                } catch (ClassNotFoundException | LinkageError error) {
                    unit.error = error.toString();
                }
            }
            Values.write(reply, unit.error == null ? "" : unit.error);
            if (unit.error != null) continue;
            UNITS.put(unit.name, unit);
            reply.writeBoolean(remembers);
            reply.writeInt(unit.methods.size());
            for (Method method : unit.methods) {
                Values.write(reply, method.getGenericReturnType().getTypeName());
                reply.writeInt(method.getParameterCount());
                for (Parameter parameter : method.getParameters()) {
                    Values.write(reply, Values.bounded(parameter.getParameterizedType()).getTypeName());
                    Values.write(reply, parameter.getName());
                }
            }
        }
    }

    static boolean compiled(List<Unit> units, StandardJavaFileManager files) {
        Map<String, Unit> byPackage = new HashMap<>();
        List<JavaFileObject> sources = new ArrayList<>();
        for (Unit unit : units) {
            byPackage.put(unit.name, unit);
            unit.classes.clear();
            sources.add(new Source(unit));
        }
        DiagnosticCollector<JavaFileObject> diagnostics = new DiagnosticCollector<>();
        List<String> options = List.of("-proc:none", "-parameters", "-g:none", "-nowarn", "-Xlint:none");
        boolean done = COMPILER.getTask(null, new Memory(files, byPackage), diagnostics, options, null, sources).call();
        for (Diagnostic<? extends JavaFileObject> each : diagnostics.getDiagnostics()) {
            if (each.getKind() != Diagnostic.Kind.ERROR || !(each.getSource() instanceof Source)) continue;
            Unit unit = ((Source) each.getSource()).unit;
            if (unit.error == null) unit.error = "line " + each.getLineNumber() + ": " + each.getMessage(null);
        }
        return done;
    }
}

class Source extends SimpleJavaFileObject {
    final Unit unit;

    Source(Unit unit) {
        super(URI.create("memory:///" + unit.name + "/Source.java"), Kind.SOURCE);
        this.unit = unit;
    }

    @Override
    public CharSequence getCharContent(boolean ignore) {
        return unit.source;
    }

    @Override
    public boolean isNameCompatible(String simpleName, Kind kind) {
        return true; // a public class need not be in a file of its name
    }
}

class Memory extends ForwardingJavaFileManager<StandardJavaFileManager> {
    final Map<String, Unit> units;

    Memory(StandardJavaFileManager files, Map<String, Unit> units) {
        super(files);
        this.units = units;
    }

    @Override
    public JavaFileObject getJavaFileForOutput(
            JavaFileManager.Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        units.get(name.substring(0, name.indexOf('.'))).classes.put(name, bytes);
        return new SimpleJavaFileObject(URI.create("memory:///" + name.replace('.', '/') + ".class"), kind) {
            @Override
            public OutputStream openOutputStream() {
                return bytes;
            }
        };
    }
}
