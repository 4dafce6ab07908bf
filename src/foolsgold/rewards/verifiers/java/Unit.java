import java.io.ByteArrayOutputStream;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One problem: a package of its own, its classes as bytes, and its methods of the name asked for. */
class Unit {
    final String name, source, entry;
    final Map<String, ByteArrayOutputStream> classes = new LinkedHashMap<>();
    List<Method> methods;
    String error;

    Unit(String name, String source, String entry) {
        this.name = name;
        this.source = source;
        this.entry = entry;
    }

    void load() throws ClassNotFoundException {
        ClassLoader loader = new Counted(this);
        methods = new ArrayList<>();
        for (String each : classes.keySet())
            for (Method method : Class.forName(each, false, loader).getDeclaredMethods())
                if (method.getName().equals(entry) && !method.isSynthetic()) methods.add(method);
        methods.sort(Comparator.comparing((Method m) -> m.getDeclaringClass().getName().length())
                .thenComparing(Method::toGenericString));
        for (Method method : methods) method.setAccessible(true);
    }

    /** Whether a call may leave something behind for the next one. */
    boolean remembers() throws ClassNotFoundException {
        ClassLoader loader = methods.get(0).getDeclaringClass().getClassLoader();
        for (String each : classes.keySet())
            for (Field field : Class.forName(each, false, loader).getDeclaredFields()) {
                boolean constant = Modifier.isFinal(field.getModifiers())
                        && (field.getType().isPrimitive() || field.getType() == String.class);
                if (Modifier.isStatic(field.getModifiers()) && !field.isSynthetic() && !constant) return true;
            }
        return false;
    }
}
